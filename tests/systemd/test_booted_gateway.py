"""hearth.service under a real systemd: started, killed, hung, stopped, started again."""

from __future__ import annotations

import asyncio
import json
import re

from unit_kit import PATIENCE_S, STATE

UNIT = "hearth"


def test_what_the_units_point_to_is_installed(machine):
    text = machine.systemctl("cat", "hearth", "hearth-collect")
    paths = re.findall(r"(?m)^(?:Documentation=file://|ExecStart=)(/opt/\S+)", text)
    assert len(paths) == 4
    assert all(machine.file(path).exists() for path in paths), paths


async def test_it_is_started_when_hearth_is_ready(site):
    await site.start(UNIT)
    shown = await site.show(UNIT, "ActiveState", "SubState", "StatusText", "NRestarts", "Result")
    assert shown == {
        "ActiveState": "active", "SubState": "running", "StatusText": "gw-1: 2 devices",
        "NRestarts": "0", "Result": "success",
    }  # fmt: skip
    pid = await site.main_pid(UNIT)
    ids = await site.run("ps", "-o", "user=,supgrp=,args=", "--pid", str(pid))
    user, groups, command = ids.stdout.split(maxsplit=2)
    assert user == "hearth"
    assert {"gpio", "dialout", "bluetooth", "audio"} <= set(groups.split(","))
    assert command.strip().endswith("/opt/hearth/bin/hearth run -c /etc/hearth/hearth.toml")


async def test_a_press_reaches_the_far_side_and_is_stored_once(site):
    await site.start()
    await site.press()
    (call,) = await site.presses(1)
    status = await site.run("hearth", "status")
    assert "uplink: connected" in status.stdout
    assert f"CALL {call} call-bedroom: delivered" in status.stdout
    assert all(book["balanced"] for book in await site.books())


async def test_what_hearth_keeps_is_for_hearth_alone(site):
    await site.start(UNIT)
    await site.press()
    names = [STATE, f"{STATE}/journal", "/run/hearth", "/run/hearth/control.sock", "/etc/hearth"]
    told = (await site.run("stat", "--format=%n %a %U %G", *names)).stdout.split("\n")
    assert told[:-1] == [
        f"{STATE} 700 hearth hearth",
        f"{STATE}/journal 700 hearth hearth",
        "/run/hearth 750 hearth hearth",
        "/run/hearth/control.sock 660 hearth hearth",
        "/etc/hearth 750 root hearth",
    ]
    everything = f"find {STATE} -perm /077; find {STATE} -not -user hearth"
    assert (await site.run("sh", "-c", everything)).stdout == ""


async def test_the_doctor_finds_nothing_but_what_is_so(site):
    """As the user hearth, as README.md says; the journal is hearth's own, and the button's board."""
    await site.start(UNIT)
    await site.until_connected()
    looked = await site.run(
        "setpriv", "--reuid=hearth", "--regid=hearth", "--init-groups", "hearth", "doctor",
        check=False,
    )  # fmt: skip
    assert looked.returncode == 0, looked.stdout + looked.stderr
    assert "FAULT" not in looked.stdout
    assert re.search(r"ok +daemon +runs and answers", looked.stdout)
    assert re.search(r"ok +journal +flash takes what comes", looked.stdout)


async def test_killed_it_comes_back_and_its_call_is_stored_once(site):
    await site.start()
    await site.until_connected()
    await site.broker.kill()
    await site.press()
    pid = await site.main_pid(UNIT)
    await site.systemctl("kill", "--kill-whom=main", "--signal=KILL", UNIT)
    await site.until(UNIT, NRestarts="1", SubState="running")
    assert await site.main_pid(UNIT) != pid
    await site.broker.start()
    assert len(await site.presses(1)) == 1
    await site.press()
    assert len(await site.presses(2)) == 2
    assert all(book["balanced"] for book in await site.books())


async def test_systemd_never_gives_up(site):
    """By itself it would after five starts in ten seconds."""
    site.machine.drop_in(
        "hearth.service", "[Service]\nRestartSec=10ms\nExecStart=\nExecStart=/bin/false\n"
    )
    await site.run("systemctl", "start", UNIT, check=False)
    async with asyncio.timeout(PATIENCE_S):
        while int((await site.show(UNIT, "NRestarts"))["NRestarts"]) < 10:
            await asyncio.sleep(0.05)
    site.machine.drop_in("hearth.service", "")
    await site.until(UNIT, SubState="running")


async def test_one_that_hangs_is_killed_by_the_watchdog(site):
    """Stopped, it feeds nobody. The unit's minute is shortened; all else is as shipped."""
    site.machine.drop_in("hearth.service", "[Service]\nWatchdogSec=1s\n")
    await site.start()
    await site.press()
    await site.systemctl("kill", "--kill-whom=main", "--signal=STOP", UNIT)
    await site.until(UNIT, NRestarts="1", SubState="running")
    log = await site.log(UNIT)
    assert "Watchdog timeout (limit 1s)!" in log
    assert "Main process exited, code=killed, status=6/ABRT" in log, log
    assert re.search(r"Fatal Python error: Aborted\n(.*\n)*.*most recent call first", log), log
    await site.press()
    assert len(await site.presses(2)) == 2


async def test_an_idle_one_is_not_killed_by_the_watchdog(site):
    """It is fed by the loop alone, in time: three of its limits pass and it is the same process."""
    site.machine.drop_in("hearth.service", "[Service]\nWatchdogSec=1s\n")
    await site.start(UNIT)
    pid = await site.main_pid(UNIT)
    first = await site.show(UNIT, "WatchdogTimestampMonotonic")
    fed = [int(first["WatchdogTimestampMonotonic"])]
    async with asyncio.timeout(30):
        while fed[-1] - fed[0] < 3_000_000:
            await asyncio.sleep(0.1)
            fed.append(int((await site.show(UNIT, *first))["WatchdogTimestampMonotonic"]))
    assert await site.main_pid(UNIT) == pid


async def test_stopped_it_ends_well_and_leaves_nothing(site):
    await site.start()
    await site.press()
    await site.presses(1)
    await site.systemctl("stop", UNIT)
    shown = await site.show(UNIT, "ActiveState", "Result")
    assert shown == {"ActiveState": "inactive", "Result": "success"}
    log = await site.log(UNIT)
    assert "gw-1 stops: all is stored" in log
    assert "Deactivated successfully" in log
    for bad in ("left-over", "timed out", "Traceback", "killed"):
        assert bad not in log
    left = await site.run("sh", "-c", "ls -d /run/hearth; pgrep --count --uid hearth", check=False)
    assert left.stdout.strip() == "0"


async def test_stopped_in_an_outage_it_ends_before_systemd_kills_it(site):
    await site.start()
    await site.until_connected()
    await site.broker.kill()
    await site.press()
    await site.systemctl("stop", UNIT)
    assert (await site.show(UNIT, "Result"))["Result"] == "success"
    assert "gw-1 stops: backlog kept" in await site.log(UNIT)
    await site.broker.start()
    await site.start(UNIT)
    assert len(await site.presses(1)) == 1


async def test_restarts_while_somebody_presses_lose_nothing(site):
    await site.start()
    pressing = asyncio.create_task(press_on(site))
    for _ in range(3):
        before = await site.presses(1)
        await site.systemctl("restart", UNIT)
        await site.presses(len(before) + 1)
    pressing.cancel()
    await asyncio.wait([pressing])
    await site.systemctl("stop", UNIT)
    (urgent,) = [book for book in await site.books() if book["lane"] == "urgent"]
    assert urgent["balanced"]
    assert urgent["lost"] == urgent["missing"] == 0
    assert urgent["stored"] == urgent["accepted"] >= len(await site.presses(4))


async def press_on(site) -> None:
    while True:
        await site.press()


async def test_one_that_ends_well_by_itself_is_started_again(site):
    """As after the order gateway.restart."""
    await site.start()
    await site.systemctl("kill", "--kill-whom=main", "--signal=TERM", UNIT)
    await site.until(UNIT, NRestarts="1", SubState="running", Result="success")


async def test_status_is_for_root_and_the_group(site):
    await site.start(UNIT)
    as_hearth = ("setpriv", "--reuid=nobody", "--regid=hearth", "--clear-groups")
    as_nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    told = await site.run(*as_hearth, "hearth", "status", "--json")
    assert json.loads(told.stdout)
    refused = await site.run(*as_nobody, "hearth", "status", check=False)
    assert refused.returncode
    assert "Permission denied" in refused.stderr
