"""Figures for Prometheus: over HTTP from a real gateway, read by OpenMetrics' strict parser."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from brokers import PATIENCE_S, needs_mosquitto
from mirrored_home import BUTTON, MirroredHome
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as plain_families

from drivers.sim.loopback import HOST, free_port
from gateway import __version__
from gateway.errors import ControlError
from gateway.metrics import Figures, MetricsServer, server

OPENMETRICS = (
    b"GET /metrics HTTP/1.1\r\nHost: x\r\n"
    b"Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n\r\n"
)
PLAIN = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
SNAPSHOT = {
    "gateway": "g",
    "uptime_ms": 61_500,
    "wall_ms": 0,
    "clock": "unknown",
    "testing": False,
    "journal": {
        "uuid": "00",
        "bytes_written": 4096,
        "set_aside": ["x"],
        "trouble": ["y", "z"],
        "lanes": {
            "urgent": {"accepted": 7, "durable": 6, "acknowledged": 4, "segments": 8,
                       "free_segments": 6, "unwritten": 1, "failed": "EIO", "backlog": 3},
        },
    },
    "uplink": {"connected": True, "outstanding": 2, "last_error": "", "counters": {
        "sessions": 3, "bytes_sent": 900, "batches_resent": 1, "acks_taken": 5, "acks_stale": 0,
        "something_new": 1,
    }},
    "calls": [{"call": "c1", "device": "bed", "state": None, "presses": 1},
              {"call": "c2", "device": "bed", "state": "delivered", "presses": 1}],
    "devices": {
        "bed": {"state": "online", "reason": "", "restarts": 0, "events": 4,
                "last_event_uptime_ms": 60_000},
        'odd "name"\\': {"state": "failed", "reason": "x", "restarts": 2, "events": 0,
                         "last_event_uptime_ms": None},
    },
}  # fmt: skip


def samples(answer: bytes) -> dict[tuple, float]:
    """Name and labels of each sample; AssertionError if the answer is no OpenMetrics."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8" in head
    assert f"Content-Length: {len(body)}".encode() in head
    families = list(text_string_to_metric_families(body.decode()))
    assert all(it.documentation for it in families)
    own = [it for it in families if it.name.startswith("hearth_")]
    for it in own:
        assert not it.unit or it.name.endswith(it.unit), it.name
    return {
        (it.name, *sorted(it.labels.items())): it.value
        for family in families
        for it in family.samples
    }


@asynccontextmanager
async def serving(snapshot=lambda: SNAPSHOT):
    address = HOST, free_port()
    it = MetricsServer(address, Figures(snapshot))
    await it.start()
    try:
        yield address
    finally:
        await it.close()


async def ask(address, request=OPENMETRICS) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
    writer.close()
    return answer


# --- a real gateway -----------------------------------------------------------------------------


@needs_mosquitto
async def test_a_gateways_figures_agree_with_what_happened(tmp_path):
    async with MirroredHome(tmp_path) as home:
        await home.start()
        await home.board.button(BUTTON).watched()
        await home.button.press()
        await home.stored("call", "call-bedroom", 1)
        await home.stored("measurement", "meter-kitchen", 3)
        async with asyncio.timeout(20):
            while not (before := await home.status())["mirror"]["connected"]:
                await asyncio.sleep(0.01)
        found = samples(await home.scrape(OPENMETRICS))
        after = await home.status()

        def within(name, path, *labels, scale=1.0):
            low, high = before, after
            for key in path:
                low, high = low[key], high[key]
            assert low / scale <= found[(name, *labels)] <= high / scale, name

        for lane in ("urgent", "routine"):
            label = ("lane", lane)
            where = "journal", "lanes", lane
            within("hearth_journal_accepted_events_total", (*where, "accepted"), label)
            within("hearth_journal_freed_events_total", (*where, "acknowledged"), label)
        within("hearth_journal_written_bytes_total", ("journal", "bytes_written"))
        counters = "uplink", "counters"
        within("hearth_uplink_sent_bytes_total", (*counters, "bytes_sent"))
        within("hearth_uplink_sent_batches_total", (*counters, "batches_sent"))
        within("hearth_uplink_acknowledged_events_total", (*counters, "events_acknowledged"))
        within("hearth_uplink_sessions_total", (*counters, "sessions"))
        within("hearth_uplink_acks_total", (*counters, "acks_taken"), ("verdict", "taken"))
        within("hearth_uptime_seconds", ("uptime_ms",), scale=1000)
        within("hearth_mirror_published_total", ("mirror", "published"))
        for device in ("meter-kitchen", "call-bedroom"):
            label = ("device", device)
            within("hearth_device_events_total", ("devices", device, "events"), label)
            assert found["hearth_device_up", label] == 1
            assert found["hearth_device_restarts_total", label] == 0
        assert found["hearth_build_info", ("version", __version__)] == 1
        assert found["hearth_uplink_connected",] == found["hearth_mirror_connected",] == 1
        assert found["hearth_journal_flash_failing", ("lane", "urgent")] == 0
        assert sum(value for (name, *_), value in found.items() if name == "hearth_calls_open") == 1
        assert found["process_resident_memory_bytes",] > 10 * 2**20
        told = str(sorted(found))
        assert "bedroom" not in told.replace("call-bedroom", "")
        assert "resident-1" not in told


@needs_mosquitto
async def test_scrapers_that_hang_do_not_hold_up_a_call(tmp_path):
    async with MirroredHome(tmp_path) as home:
        await home.start()
        await home.board.button(BUTTON).watched()
        host, _, port = home.listen.rpartition(":")
        hanging = [await asyncio.open_connection(host, int(port)) for _ in range(30)]
        for _, writer in hanging[::2]:
            writer.write(b"GET /metrics HTTP/1.1\r\nX: ")
        await home.button.press()
        await home.button.wait_light(on=True)
        await home.stored("call", "call-bedroom", 1)
        for reader, writer in hanging:
            with suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 20) == b"", "each is hung up on"
            writer.close()
        assert samples(await home.scrape(OPENMETRICS))


@needs_mosquitto
async def test_a_port_that_is_taken_is_a_fault_and_calls_are_taken(tmp_path):
    home = MirroredHome(tmp_path)
    other = await asyncio.start_server(lambda _, writer: writer.close(), HOST, 0)
    home.listen = "{}:{}".format(*other.sockets[0].getsockname())
    async with other, home:
        await home.start()
        await home.board.button(BUTTON).watched()
        await home.button.press()
        await home.stored("call", "call-bedroom", 1)
        await home.stored("fault", "gateway", 1)
        ((body,),) = home.query("SELECT body FROM events WHERE kind = 'fault'")
        assert '"metrics"' in body


# --- the figures --------------------------------------------------------------------------------


async def test_every_fact_becomes_a_figure():
    async with serving() as address:
        found = samples(await ask(address))
    urgent = ("lane", "urgent")
    assert found["hearth_journal_backlog_events", urgent] == 3
    assert found["hearth_journal_unwritten_events", urgent] == 1
    assert found["hearth_journal_flash_failing", urgent] == 1
    assert found["hearth_journal_troubles",] == 3
    assert found["hearth_uptime_seconds",] == 61.5
    assert found["hearth_clock_synchronised",] == 0
    assert found["hearth_uplink_resent_batches_total",] == 1
    assert found["hearth_uplink_something_new_total",] == 1
    assert found["hearth_calls_open", ("state", "unstored")] == 1
    assert found["hearth_calls_open", ("state", "delivered")] == 1
    assert found["hearth_calls_open", ("state", "escalated")] == 0
    assert not [it for it in found if "closed" in str(it)], "a call that is over is not open"
    assert found["hearth_device_up", ("device", 'odd "name"\\')] == 0
    assert found["hearth_device_restarts_total", ("device", 'odd "name"\\')] == 2
    assert found["hearth_device_silence_seconds", ("device", "bed")] == 1.5
    assert not [it for it in found if "mirror" in it[0]], "off"


# --- HTTP ---------------------------------------------------------------------------------------


async def test_who_asks_for_nothing_special_gets_the_classic_text():
    async with serving() as address:
        answer = await ask(address, PLAIN)
    assert b"Content-Type: text/plain; version=0.0.4" in answer
    body = answer.partition(b"\r\n\r\n")[2].decode()
    assert len(list(plain_families(body))) > 20


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"GET /metrics?name[]=x HTTP/1.1\r\n\r\n", b"200 OK"),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", b"200 OK"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405 Method Not Allowed"),
        (b"\r\n\r\n", b"405 Method Not Allowed"),
        (b"\xff\xfe\r\n\r\n", b"405 Method Not Allowed"),
        (b"GET\r\n\r\n", b"404 Not Found"),
        (b"GET /metrics HTTP/1.1\r\nAccept: \xff\x00, ;;;=;version=x\r\n\r\n", b"200 OK"),
        (b"GET /metrics HTTP/1.1\r\nAccept\r\n\r\n", b"200 OK"),
    ],
)
async def test_requests_of_every_kind(request_, status):
    async with serving() as address:
        answer = await ask(address, request_)
        assert answer.startswith(b"HTTP/1.1 " + status + b"\r\n")
        assert (b"hearth" in answer) is (b"200" in status and not request_.startswith(b"HEAD"))
        assert samples(await ask(address)), "and it still answers"


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000,
        b"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text;version=x.y\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text;version=1;escaping=z\r\n\r\n",
    ],
    ids=["too long", "no version", "no escaping"],
)
async def test_nonsense_is_hung_up_on_or_answered_and_ends_nothing(request_, caplog):
    async with serving() as address:
        with suppress(ConnectionResetError):
            await ask(address, request_)
        assert samples(await ask(address))
    assert "exception" not in caplog.text.lower()


async def test_who_asks_for_nothing_is_hung_up_on(monkeypatch):
    monkeypatch.setattr(server, "TIMEOUT_S", 0.05)
    async with serving() as address:
        assert await ask(address, b"GET /metrics HTTP/1.1\r\n") == b""


async def test_an_address_that_cannot_be_had():
    async with serving() as address:
        with pytest.raises(ControlError, match="no metrics") as refused:
            await MetricsServer(address, Figures(lambda: SNAPSHOT)).start()
    assert "listen" in refused.value.hint
