"""hearth-collect.service under a real systemd, with its environment file as the example has it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import urllib.request
from pathlib import Path

import pytest
from booted_systemd import REPOSITORY
from postgres_server import PostgresServer, why_no_postgresql
from unit_kit import FAR_PASSWORD, FAR_STATE, STORE, WEBHOOK_SECRET

from drivers.sim.loopback import free_port

sys.path.append(str(Path(__file__).parents[1] / "collector"))
UNIT = "hearth-collect"
needs_postgresql = pytest.mark.skipif(bool(why_no_postgresql()), reason=why_no_postgresql())
DATABASE_PASSWORD = "Apfelstrudel-5"
# Keeps each alarm, and says that it is done with it when it is let go on.
PROGRAM = """#!/bin/sh
cd /var/lib/hearth-collect
cat >> alarms
touch begun
until [ -e go ]; do sleep 0.02; done
for folder in /etc /usr/local /srv /home /root; do touch $folder/x && echo $folder >> written; done
touch told
"""


async def there(site, name):
    """Until the program has made a file in the collector's state folder."""
    async with asyncio.timeout(30):
        while not site.machine.file(f"{FAR_STATE}/{name}").exists():
            await asyncio.sleep(0.02)


def make(site, name):
    site.machine.file(f"{FAR_STATE}/{name}").touch()


@pytest.fixture
def with_program(site):
    """The collector hands alarms to a program."""
    path = site.machine.file("/srv/alarm")
    path.write_text(PROGRAM)
    path.chmod(0o755)
    site.configure_far_side("--command /srv/alarm")


def alarms(site):
    """The ids that the program was given."""
    lines = site.machine.file(f"{FAR_STATE}/alarms").read_text().splitlines()
    return [json.loads(line)["id"] for line in lines]


async def test_it_runs_as_a_user_that_systemd_made_up(site):
    await site.start()
    await site.press()
    await site.presses(1)
    pid = await site.main_pid(UNIT)
    uid = (await site.run("stat", "--format=%u", f"/proc/{pid}")).stdout.strip()
    assert 61184 <= int(uid) <= 65519  # systemd.exec(5), DynamicUser=
    files = await site.run("stat", "--format=%a %u", FAR_STATE, f"{FAR_STATE}/events.db")
    assert files.stdout == f"700 {uid}\n600 {uid}\n"


async def test_its_password_is_told_to_nobody(site):
    await site.start()
    await site.press()
    await site.presses(1)
    pid = await site.main_pid(UNIT)
    for place in (
        ("systemctl", "show", UNIT),
        ("cat", f"/proc/{pid}/cmdline", f"/proc/{pid}/environ"),
        ("journalctl", "--output=verbose", "--all"),
    ):
        told = (await site.run(*place)).stdout
        assert FAR_PASSWORD not in told
        assert WEBHOOK_SECRET not in told


async def test_root_sees_the_fleet_while_it_runs_and_after(site):
    await site.start()
    await site.press()
    await site.presses(1)
    for _ in range(2):
        fleet = await site.run("hearth", "fleet", "--json", "--store", STORE)
        assert [it["gateway"] for it in json.loads(fleet.stdout)] == ["gw-1"]
        assert all(book["balanced"] for book in await site.books())
        await site.systemctl("stop", UNIT)
    await site.start(UNIT)  # what root looked at is still the service's
    await site.press(site.other_button)
    assert len(await site.presses(2)) == 2


async def test_its_arguments_are_the_words_of_the_environment_file(site):
    """As config/hearth-collect.example.env: figures, and a webhook whose secret is a credential."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra: webhook)")
    from receiver import SECRET, WRITTEN, Receiver

    async with Receiver() as receiver:
        figures = f"127.0.0.1:{free_port()}"
        site.configure_far_side(
            f"--metrics {figures} --webhook {receiver.url}"
            " --webhook-secret-file credential:webhook-secret"
        )
        site.put("/etc/hearth/webhook-secret", WRITTEN + "\n", mode=0o600)
        await site.start()
        await site.press()
        async with asyncio.timeout(30):
            while not receiver.requests:
                await asyncio.sleep(0.02)
        assert receiver.requests[0].is_signed(SECRET)
        told = await asyncio.to_thread(_read, f"http://{figures}/metrics")
        assert "hearth_collector_connected" in told
        argv = (await site.run("cat", f"/proc/{await site.main_pid(UNIT)}/cmdline")).stdout
        assert argv.split("\0")[3:6] == ["--store", STORE, "--password-file"]
        assert "credential:webhook-secret" in argv.split("\0")


def _read(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


async def test_without_a_webhook_it_wants_no_secret(site):
    site.machine.file("/etc/hearth/webhook-secret").unlink()
    await site.start()
    await site.press()
    assert len(await site.presses(1)) == 1


async def test_a_webhook_without_a_secret_is_said_to_have_none(site):
    site.configure_far_side(
        "--webhook http://127.0.0.1:1/ --webhook-secret-file credential:webhook-secret"
    )
    site.machine.file("/etc/hearth/webhook-secret").unlink()
    await site.start(UNIT)
    await site.until(UNIT, ExecMainStatus="2")
    assert "--webhook-secret-file: " in await site.log(UNIT)


async def test_a_program_takes_alarms_and_can_write_nowhere_else(site, with_program):
    await site.start()
    await site.press()
    await there(site, "begun")
    make(site, "go")
    await there(site, "told")
    assert len(alarms(site)) == 1
    assert not site.machine.file(f"{FAR_STATE}/written").exists()


async def test_stopped_while_an_alarm_is_told_it_tells_it_again(site, with_program):
    await site.start()
    await site.press()
    await there(site, "begun")
    await site.systemctl("stop", UNIT)
    assert (await site.show(UNIT, "Result"))["Result"] == "success"
    log = await site.log(UNIT)
    assert "left-over" not in log
    assert "timed out" not in log
    assert not (await site.run("pgrep", "--full", "/srv/alarm", check=False)).stdout
    make(site, "go")
    await site.start(UNIT)
    await there(site, "told")
    first, *others = alarms(site)
    assert others
    assert set(others) == {first}


async def test_killed_it_comes_back_and_stores_once(site):
    await site.start()
    await site.press()
    await site.presses(1)
    await site.systemctl("kill", "--kill-whom=main", "--signal=KILL", UNIT)
    await site.press(site.other_button)
    await site.until(UNIT, NRestarts="1", SubState="running")
    assert len(await site.presses(2)) == 2
    assert all(book["balanced"] for book in await site.books())


async def test_without_its_environment_file_it_says_what_is_missing(site):
    site.machine.file("/etc/hearth/collect.env").unlink()
    assert (await site.run("systemctl", "start", UNIT, check=False)).returncode == 1
    assert "Failed to load environment files" in await site.log(UNIT)


@needs_postgresql
async def test_it_stores_in_postgresql_over_a_unix_socket(site):
    """The socket has a second name on the machine; the server is beside it."""
    with PostgresServer() as server:
        name = _database(server)
        (socket,) = Path(server.url(name).partition("host=")[2]).glob(".s.PGSQL.*[0-9]")
        folder = site.machine.file("/srv/postgresql")
        folder.mkdir()
        folder.chmod(0o755)
        os.link(socket, folder / socket.name)
        site.configure_far_side(store=f"postgresql://hearth-collect@/{name}?host=/srv/postgresql")
        await _press_until_stored(site, server, name)


@needs_postgresql
async def test_a_password_for_postgresql_is_a_credential(site):
    """In the lines that the unit itself proposes: its user has no home in which to look for one."""
    text = (REPOSITORY / "systemd/hearth-collect.service").read_text("utf-8")
    proposed = re.findall(r"(?m)^#((?:LoadCredential|Environment)=.*pgpass)$", text)
    site.machine.drop_in("hearth-collect.service", "[Service]\n" + "\n".join(proposed) + "\n")
    port = str(free_port())
    with PostgresServer(listen_addresses="127.0.0.1", port=port) as server:
        name = _database(server)
        rules = Path(server.execute("SHOW hba_file")[0][0])
        rules.write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        server.execute("SELECT pg_reload_conf()")
        line = f"127.0.0.1:{port}:{name}:hearth-collect:{DATABASE_PASSWORD}\n"
        site.put("/etc/hearth/pgpass", line, mode=0o600)
        site.configure_far_side(store=f"postgresql://hearth-collect@127.0.0.1:{port}/{name}")
        await _press_until_stored(site, server, name)


def _database(server):
    """One of the user that the unit's process names."""
    server.execute(f"CREATE ROLE \"hearth-collect\" LOGIN PASSWORD '{DATABASE_PASSWORD}'")
    name = server.new_database()
    server.execute(f'ALTER DATABASE {name} OWNER TO "hearth-collect"')
    return name


async def _press_until_stored(site, server, name):
    await site.start()
    await site.press()
    calls = "SELECT count(*) FROM events WHERE kind = 'call'"
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(_count, server, calls, name):
            await asyncio.sleep(0.05)
    await site.systemctl("stop", UNIT)


def _count(server, question, database):
    import psycopg

    try:
        return server.execute(question, database)[0][0]
    except psycopg.errors.UndefinedTable:
        return 0  # not made yet
