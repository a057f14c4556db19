"""`hearth keys`, `hearth send` and `hearth check` as people use them, against a small gateway."""

import asyncio
import contextlib
import json
import os
import sqlite3
import stat
import sys

import pytest
from brokers import GATEWAY, MemoryBacklog, needs_mosquitto, settings_for, until
from ordered import Desk, SetClock

from collector.sender import new_command
from drivers.sim.broker import Broker
from drivers.sim.loopback import free_port
from gateway.cli.send import arguments_of, seconds_of, value_of
from gateway.clock import SystemClock
from gateway.errors import SettingsError
from gateway.forwarding.forwarder import Forwarder
from gateway.signing.keys import read_public_keys


async def hearth(*words, zh=False):
    """Exit code, standard output, standard error of one command."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.cli.main", *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"HEARTH_LANG": "zh" if zh else "en"},
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert "Traceback" not in err.decode(), err.decode()
    return process.returncode, out.decode(), err.decode()


class TrueClock(SetClock):
    """The time of this machine, and sure of it."""

    def stamp(self, uptime_ms=None):
        self.now_ms = SystemClock().stamp().wall_ms
        return super().stamp(uptime_ms)


@pytest.fixture
async def keys(tmp_path):
    code, out, _ = await hearth("keys", "new", "--out", str(tmp_path / "desk"))
    assert code == 0
    assert "desk.key" in out
    assert "desk.pub" in out
    return tmp_path / "desk.key", tmp_path / "desk.pub"


@contextlib.asynccontextmanager
async def home(folder, public):
    """A broker, and a gateway that takes orders of this key."""
    async with Broker() as broker:
        desk = Desk(folder, TrueClock())
        desk.dispatcher._keys = read_public_keys([str(public)], "commands.keys")
        forwarder = Forwarder(
            GATEWAY, settings_for(broker), (MemoryBacklog(),), commands=desk.dispatcher
        )
        task = asyncio.create_task(forwarder.run())
        await until(lambda: forwarder.connected)
        try:
            yield broker, desk
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


# --- keys ---


async def test_keys_are_made_once(keys, tmp_path):
    assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600
    code, _, err = await hearth("keys", "new", "--out", str(tmp_path / "desk"))
    assert code == 2
    assert "is there already" in err


# --- send ---


@needs_mosquitto
async def test_done_refused_and_kept_in_the_store(keys, tmp_path):
    key, public = keys
    database = tmp_path / "events.db"
    (tmp_path / "week.json").write_text('[{"id": "pill-1", "rule": "FREQ=DAILY"}, {"id": "walk"}]')
    async with home(tmp_path, public) as (broker, desk):
        common = ("--key", str(key), "--url", broker.url, "--store", f"sqlite://{database}")
        code, out, _ = await hearth(
            "send", GATEWAY, "call.accept", "call=17", *common, "--who", "desk 1", zh=True
        )
        assert (code, out) == (0, "已执行  count=1\n")
        code, out, _ = await hearth(
            "send", GATEWAY, "notice.add", 'text="5"', "n=5", "x=2.5", "on=true", "say=good day",
            f"rows=@{tmp_path}/week.json", *common, "--who", "desk 1", "--json",
        )  # fmt: skip
        assert code == 0
        answer = json.loads(out)
        assert (answer["outcome"], answer["result"]) == ("done", {"count": 2})
        code, out, _ = await hearth("send", GATEWAY, "refuses", *common, "--who", "desk 2")
        assert (code, out) == (1, "refused  no such call\n")
    assert desk.done[0] == ("call.accept", "desk 1", {"call": 17})
    assert desk.done[1][2] == {
        "text": "5", "n": 5, "x": 2.5, "on": True, "say": "good day",
        "rows": [{"id": "pill-1", "rule": "FREQ=DAILY"}, {"id": "walk"}],
    }  # fmt: skip
    with contextlib.closing(sqlite3.connect(database)) as db:
        rows = db.execute(
            "SELECT gateway, name, who, outcome, reason, result, answered >= issued, id"
            " FROM commands ORDER BY issued"
        ).fetchall()
    assert [row[:7] for row in rows] == [
        (GATEWAY, "call.accept", "desk 1", "done", "", '{"count":1}', 1),
        (GATEWAY, "notice.add", "desk 1", "done", "", '{"count":2}', 1),
        (GATEWAY, "refuses", "desk 2", "refused", "no such call", "{}", 1),
    ]
    assert rows[1][7] == answer["id"]


@needs_mosquitto
async def test_no_reply_is_kept_too(keys, tmp_path):
    key, _ = keys
    database = tmp_path / "events.db"
    async with Broker() as broker:
        code, out, _ = await hearth(
            "send", GATEWAY, "call.accept", "--key", str(key), "--url", broker.url,
            "--wait", "0.5", "--store", f"sqlite://{database}", "--json",
        )  # fmt: skip
    assert code == 2
    assert json.loads(out)["outcome"] is None
    with contextlib.closing(sqlite3.connect(database)) as db:
        assert db.execute("SELECT name, outcome, answered FROM commands").fetchall() == [
            ("call.accept", None, None)
        ]


async def test_without_a_broker(keys):
    url = f"mqtt://127.0.0.1:{free_port()}"
    words = ("send", GATEWAY, "x", "--key", str(keys[0]), "--url", url, "--wait", "0.5")
    code, out, _ = await hearth(*words)
    assert code == 2
    assert "no reply" in out
    assert "no connection" in out


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["Call!"], "name is"),
        (["x", "a"], "a: not KEY=VALUE"),
        (["x", "a=1", "a=2"], "a=2: twice"),
        (["x", "a=@/nonexistent.json"], "No such file"),
        (["x", 'a="b'], 'a="b'),
        (["x", "a="], "a text of 0"),
        (["x", "a=9999999999999999999"], "arguments"),
        (["x", "--expires", "soon"], "--expires soon"),
        (["x", "--url", "http://x"], "must be mqtts://"),
    ],
)  # fmt: skip
async def test_what_cannot_be_sent(keys, words, what):
    url = [] if "--url" in words else ["--url", f"mqtt://127.0.0.1:{free_port()}"]
    code, out, err = await hearth("send", GATEWAY, *words, "--key", str(keys[0]), *url)
    assert code == 2
    assert what in err + out


async def test_a_key_that_others_can_read_signs_nothing(keys):
    keys[0].chmod(0o644)
    words = ("send", GATEWAY, "x", "--key", str(keys[0]), "--url", "mqtt://127.0.0.1:1")
    code, _, err = await hearth(*words)
    assert code == 2
    assert "open to every user" in err


def test_values():
    texts = {
        "true": True, "false": False, "5": 5, "-5": -5, "2.5": 2.5, "-1.5e3": -1500.0, "True": "True",
        '"5"': "5", '"@x"': "@x", "nan": "nan", "1e5": "1e5", "1_000": "1_000", "5 m": "5 m", "007": "007", "0": 0, "-0": "-0", "0.5": 0.5,
        "早": "早",
    }  # fmt: skip
    for written, meant in texts.items():
        assert value_of(written) == meant
        assert type(value_of(written)) is type(meant)
    assert arguments_of(["a=b=c"]) == {"a": "b=c"}


def test_times():
    assert [seconds_of(text) for text in ("30s", "5m", "1h", "7d")] == [30, 300, 3600, 604_800]
    for text in ("", "5", "5 m", "-5m", "1h30m", "h", "5M", "5m\n"):
        with pytest.raises(SettingsError):
            seconds_of(text)


def test_two_orders_are_never_one():
    one, two = (new_command("g", "x", "me", {}, 3600) for _ in range(2))
    assert one.id != two.id
    assert one.expires_ms - one.issued_ms == 3_600_000
    assert abs(one.issued_ms - SystemClock().stamp().wall_ms) < 60_000


# --- check ---


async def test_check_names_every_key_that_is_none(keys, tmp_path):
    config = tmp_path / "hearth.toml"
    sound = '[gateway]\nid = "g"\n[uplink]\nurl = "mqtts://broker.example"\n[commands]\n'
    config.write_text(f'{sound}keys = ["{keys[1]}"]\n')
    assert (await hearth("check", "-c", str(config)))[0] == 0
    config.write_text(
        f'{sound}keys = ["{tmp_path}/none.pub", "{keys[0]}"]\n[[device]]\nid = "a"\ndriver = "no"\n'
    )
    code, _, err = await hearth("check", "-c", str(config))
    assert code == 2
    assert "no driver 'no'" in err, "with the faults of the devices"
    assert "hearth.toml:6: commands.keys: " in err
    assert "none.pub: No such file" in err
    assert "desk.key: no public key" in err
