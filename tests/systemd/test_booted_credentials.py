"""Secrets as credentials of hearth.service, in the lines that the unit itself proposes."""

from __future__ import annotations

import re

import pytest
from booted_systemd import REPOSITORY
from unit_kit import PASSWORD

UNIT = "hearth"
PROPOSED = re.findall(
    r"(?m)^#((?:Load|Set)Credential\w*=mqtt-password:.*)$",
    (REPOSITORY / "systemd/hearth.service").read_text("utf-8"),
)
PLAIN, ENCRYPTED, DEFAULT = PROPOSED
FOLDER = "/run/credentials/hearth.service"


def propose(site, *lines):
    """Take these lines of the unit into use."""
    site.machine.drop_in("hearth.service", "[Service]\n" + "\n".join(lines) + "\n")
    site.configure(password_file="credential:mqtt-password")


@pytest.fixture
def encrypted(site):
    """The password as systemd-creds(1) writes it, bound to this machine; hearth.toml names it."""
    run = site.machine.run
    run("rm", "-f", "/var/lib/systemd/credential.secret")
    run("mkdir", "-p", "/etc/credstore.encrypted")
    place = "/etc/credstore.encrypted/mqtt-password"
    run("systemd-creds", "encrypt", "--name=mqtt-password", "-", place, text=PASSWORD)
    propose(site, ENCRYPTED)
    site.machine.file("/etc/hearth/password").unlink()
    return place


async def test_a_password_of_root_reaches_hearth(site):
    """Its file is root's alone: hearth itself could not read it."""
    propose(site, PLAIN)
    site.put("/etc/hearth/password", PASSWORD + "\n", mode=0o600)
    await site.start()
    await site.press()
    assert len(await site.presses(1)) == 1


async def test_an_encrypted_password_reaches_hearth(site, encrypted):
    assert PASSWORD not in site.machine.file(encrypted).read_text()
    await site.start()
    await site.press()
    assert len(await site.presses(1)) == 1


async def test_nobody_else_can_read_it(site, encrypted):
    await site.start()
    await site.until_connected()
    stat = await site.run("stat", "--format=%a %U", FOLDER, f"{FOLDER}/mqtt-password")
    assert stat.stdout == "500 hearth\n400 hearth\n"
    for group in ("nogroup", "hearth"):
        other = ("setpriv", "--reuid=nobody", f"--regid={group}", "--clear-groups")
        refused = await site.run(*other, "cat", f"{FOLDER}/mqtt-password", check=False)
        assert "Permission denied" in refused.stderr
    await site.systemctl("stop", UNIT)
    assert (await site.run("ls", FOLDER, check=False)).returncode


async def test_the_doctor_does_not_miss_what_only_the_service_sees(site, encrypted):
    await site.start(UNIT)
    await site.until_connected()
    looked = await site.run("hearth", "doctor", check=False)
    assert "FAULT" not in looked.stdout
    assert looked.returncode == 0


async def test_it_is_told_to_nobody(site, encrypted):
    await site.start()
    await site.press()
    await site.presses(1)
    pid = await site.main_pid(UNIT)
    places = (
        ("systemctl", "show", UNIT),
        ("systemctl", "cat", UNIT),
        ("cat", f"/proc/{pid}/cmdline", f"/proc/{pid}/environ"),
        ("hearth", "status", "--json"),
        ("journalctl", "--output=verbose", "--all"),
        ("grep", "--recursive", "--text", "-e", PASSWORD, "/var/lib/hearth", "/run/hearth"),
    )
    for place in places:
        told = await site.run(*place, check=place[0] != "grep")
        assert PASSWORD not in told.stdout + told.stderr, place


@pytest.mark.parametrize("line", [PLAIN, ENCRYPTED])
async def test_without_its_file_systemd_does_not_start_hearth(site, line):
    """Which is why the unit proposes a default beside it."""
    propose(site, line)
    await site.run("rm", "-f", *(it.partition(":")[2] for it in (PLAIN, ENCRYPTED)))
    assert (await site.run("systemctl", "start", UNIT, check=False)).returncode == 1
    assert "status=243/CREDENTIALS" in await site.log(UNIT)


@pytest.mark.parametrize("line", [PLAIN, ENCRYPTED])
async def test_with_a_default_a_missing_file_keeps_no_call_from_being_recorded(site, line):
    propose(site, line, DEFAULT)
    await site.run("rm", "-f", *(it.partition(":")[2] for it in (PLAIN, ENCRYPTED)))
    await site.start(UNIT)
    await site.press()
    status = (await site.run("hearth", "status")).stdout
    assert "call-bedroom: stored" in status
    assert "the broker does not know this client" in status


async def test_a_default_does_not_hide_a_password_that_is_there(site):
    propose(site, PLAIN, DEFAULT)
    await site.start()
    await site.press()
    assert len(await site.presses(1)) == 1


async def test_a_password_of_another_machine_does_not_open(site, encrypted):
    """The card's own key is gone: what was encrypted with it is of no use to who took the file."""
    await site.run("rm", "/var/lib/systemd/credential.secret")
    await site.run("systemd-creds", "setup")
    assert (await site.run("systemctl", "start", UNIT, check=False)).returncode == 1
    assert "status=243/CREDENTIALS" in await site.log(UNIT)
