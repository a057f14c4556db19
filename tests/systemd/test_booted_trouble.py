"""What systemd and a fitter see of a hearth that cannot start, and of one whose card gives up."""

from __future__ import annotations

import contextlib

from unit_kit import STATE

UNIT = "hearth"
UNSOUND = """[gateway]
id = "gw 1"
[uplink]
url = "mqtt://127.0.0.1"
"""


@contextlib.asynccontextmanager
async def mounted(site, target, *options):
    """Something mounted there; gone with what uses it."""
    await site.run("mount", *options, target)
    try:
        yield
    finally:
        await site.systemctl("kill", "--signal=KILL", UNIT, check=False)
        await site.systemctl("stop", UNIT)
        await site.run("umount", "--lazy", target)


async def test_an_unsound_configuration_is_told_to_who_starts_it(site):
    site.put("/etc/hearth/hearth.toml", UNSOUND, mode=0o640, group="hearth")
    started = await site.run("systemctl", "start", UNIT, check=False)
    assert started.returncode == 1
    assert "journalctl -xeu hearth.service" in started.stderr
    log = await site.log(UNIT)
    assert "hearth: /etc/hearth/hearth.toml:2: gateway.id: " in log
    assert "Main process exited, code=exited, status=2/INVALIDARGUMENT" in log
    assert "Traceback" not in log


async def test_it_starts_by_itself_once_the_configuration_is_mended(site):
    site.put("/etc/hearth/hearth.toml", UNSOUND, mode=0o640, group="hearth")
    await site.run("systemctl", "start", UNIT, check=False)
    site.configure()
    await site.until(UNIT, ActiveState="active", SubState="running")
    await site.start("hearth-collect")
    await site.press()
    assert len(await site.presses(1)) == 1


async def test_a_missing_password_keeps_no_call_from_being_recorded(site):
    site.configure(password_file="/etc/hearth/none")
    await site.start(UNIT)
    await site.press()
    status = (await site.run("hearth", "status")).stdout
    assert "uplink: NOT CONNECTED (uplink.password_file: cannot be read" in status
    assert "call-bedroom: stored" in status


async def test_without_room_at_the_first_start_it_says_how_much_is_missing(site):
    async with mounted(site, STATE, "-t", "tmpfs", "-o", "size=8m,mode=755", "small"):
        started = await site.run("systemctl", "start", UNIT, check=False)
        assert started.returncode == 1
        assert "hint: free 7.0 MiB, or set a smaller [journal] quota" in await site.log(UNIT)
        await site.run("mount", "-o", "remount,size=64m", STATE)
        await site.until(UNIT, ActiveState="active", SubState="running")


async def test_a_disk_that_is_full_later_has_room_for_calls(site):
    """Even over a restart: the journal's room was taken at its first start."""
    async with mounted(site, STATE, "-t", "tmpfs", "-o", "size=24m,mode=755", "small"):
        await site.start()
        filled = await site.run("sh", "-c", f"cat /dev/zero > {STATE}/filling", check=False)
        assert "No space left" in filled.stderr
        await site.systemctl("kill", "--kill-whom=main", "--signal=KILL", UNIT)
        await site.until(UNIT, NRestarts="1", SubState="running")
        await site.press()
        assert len(await site.presses(1)) == 1


async def test_a_card_that_fell_read_only_keeps_nobody_from_calling(site):
    """The whole system is read-only then; hearth is killed, started, and a call gets through."""
    await site.start()
    await site.press()
    await site.presses(1)
    async with mounted(site, STATE, "--bind", STATE):
        await site.run("mount", "-o", "remount,bind,ro", STATE)
        await site.run("mount", "-o", "remount,bind,ro", "/")
        try:
            await site.systemctl("kill", "--kill-whom=main", "--signal=KILL", UNIT)
            await site.until(UNIT, NRestarts="1", SubState="running")
            await site.button.watched()
            await site.button.press()
            await site.presses(2)
            status = (await site.run("hearth", "status")).stdout
            assert "FLASH FAILS: [Errno 30] Read-only file system" in status
        finally:
            await site.run("mount", "-o", "remount,bind,rw", "/")
