"""`hearth collect` as a process: outputs, kills, shared subscriptions, what it says and refuses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import urllib.request
from pathlib import Path

import pytest
from brokers import needs_mosquitto, until
from collect_kit import Hearth, home
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from receiver import WRITTEN, Receiver, answer
from store_kit import ask

from collector.store import open_store
from drivers.sim.broker import Broker
from drivers.sim.loopback import free_port
from gateway.cli.main import main


@pytest.fixture
def store_url(tmp_path):
    return f"sqlite://{tmp_path}/events.db"


@needs_mosquitto
async def test_a_call_reaches_every_output(broker, store_url, secret, tmp_path):
    script = f"sh -c 'cat >> {tmp_path}/commanded'"
    async with Receiver() as receiver:
        hearth = Hearth(
            *("--url", broker.url, "--store", store_url, "--lines", "--command", script),
            *("--webhook", receiver.url, "--webhook-secret-file", secret),
        )
        async with hearth, home(broker) as press:
            names = [press(), press()]
            await until(lambda: len(hearth.lines) == len(receiver.requests) == 2)
            commanded = tmp_path / "commanded"
            await until(lambda: commanded.exists() and commanded.read_text().count("\n") == 2)
            assert [it["id"] for it in hearth.lines] == receiver.ids == names
            assert [it.alarm for it in receiver.requests] == hearth.lines
            assert [json.loads(line) for line in commanded.read_text().splitlines()] == hearth.lines
            assert all(it.is_signed() for it in receiver.requests)
            assert hearth.lines[0]["detail"] == {"call": "c1"}
            await until(lambda: ask(store_url, "SELECT count(*) FROM due") == [(0,)])
            assert await hearth.end() == 0
    assert f"collecting from {broker.url}; outputs: lines, command, webhook" in hearth.log
    assert "urgent lane: connected, MQTT 5" in hearth.log
    assert "routine lane: connected, MQTT 5" in hearth.log
    assert "Traceback" not in hearth.log
    assert WRITTEN.removeprefix("whsec_")[:8] not in hearth.log


@needs_mosquitto
async def test_a_reader_that_went_away_stops_nothing_else(broker, store_url, secret):
    async with Receiver() as receiver:
        hearth = Hearth(
            *("--url", broker.url, "--store", store_url, "--lines"),
            *("--webhook", receiver.url, "--webhook-secret-file", secret),
        )
        async with hearth, home(broker) as press:
            await hearth.said("urgent lane: connected")
            hearth.process._transport.get_pipe_transport(1).close()
            names = [press(), press(), press()]
            await until(lambda: len(receiver.requests) == 3)
            await hearth.said("output lines: nobody reads standard output any more")
            names.append(press())
            await until(lambda: receiver.ids == names)
            waiting = "SELECT output, count(*) FROM due GROUP BY output"
            await until(lambda: ask(store_url, waiting) == [("lines", 4)])
            assert await hearth.end() == 0
    async with Hearth("--url", broker.url, "--store", store_url, "--lines") as hearth:
        await until(lambda: [it["id"] for it in hearth.lines] == names)


@needs_mosquitto
@pytest.mark.parametrize("kills", [1, 2, 3])
async def test_after_kill_9_in_the_middle_every_alarm_was_told(broker, store_url, secret, kills):
    """Killed while it tells: some alarms come twice, none is missing, none was given up."""
    async with Receiver() as receiver, home(broker) as press:
        arguments = (
            *("--url", broker.url, "--store", store_url),
            *("--webhook", receiver.url, "--webhook-secret-file", secret),
        )
        wanted = set()
        for n in range(kills):
            so_far = len(receiver.requests)
            async with Hearth(*arguments) as hearth:
                await hearth.said("urgent lane: connected")
                wanted |= {press() for _ in range(40)}
                await until(lambda n=n, so_far=so_far: len(receiver.requests) > so_far + 5 * n)
                await hearth.end(signal.SIGKILL)
        async with Hearth(*arguments) as hearth:
            await until(lambda: set(receiver.ids) == wanted, timeout_s=20)
            await until(lambda: ask(store_url, "SELECT count(*) FROM due") == [(0,)])
            assert await hearth.end() == 0
    assert ask(store_url, "SELECT count(*) FROM undelivered") == [(0,)]
    stored = ask(store_url, "SELECT count(*) FROM events WHERE kind = 'call'")
    assert stored == [(len(wanted),)]


@needs_mosquitto
async def test_a_webhook_that_fails_for_a_while_gets_everything_in_order(broker, store_url, secret):
    down = True
    bad = answer("503 Service Unavailable")
    async with Receiver(lambda request: bad if down else answer("200 OK")) as receiver:
        hearth = Hearth(
            *("--url", broker.url, "--store", store_url),
            *("--webhook", receiver.url, "--webhook-secret-file", secret),
        )
        async with hearth, home(broker) as press:
            names = [press() for _ in range(5)]
            await hearth.said("output webhook: 127.0.0.1: 503")
            down = False
            tried = len(receiver.ids)
            await until(lambda: receiver.ids[tried:] == names)
            await hearth.said("output webhook: works again")


@needs_mosquitto
async def test_collectors_share_the_work_and_store_everything_once(broker, store_url):
    async with contextlib.AsyncExitStack() as stack:
        arguments = ("--url", broker.url, "--store", store_url, "--lines", "--share", "desk")
        both = [await stack.enter_async_context(Hearth(*arguments)) for _ in range(2)]
        for hearth in both:
            await hearth.said("urgent lane: connected")
            await hearth.said("routine lane: connected")
        press = await stack.enter_async_context(home(broker))
        names = []
        for n in range(1, 31):
            names.append(press())
            await until(lambda n=n: sum(len(hearth.lines) for hearth in both) >= n)
        assert sorted(it["id"] for hearth in both for it in hearth.lines) == sorted(names)
    store = open_store(store_url)
    (book,) = store.books()
    store.close()
    assert (book.stored, book.balanced, book.conflicts) == (30, True, 0)


async def test_a_broker_without_shared_subscriptions_is_told_apart(store_url):
    async with Broker(kind="amqtt") as old:
        arguments = ("--url", old.url, "--store", store_url, "--share", "desk")
        async with Hearth(*arguments) as hearth:
            await hearth.said("the broker speaks MQTT 3.1.1, which has no shared subscriptions")
            await hearth.said("run one collector, without --share")
            await hearth.said("urgent lane: not connected")  # either lane may be the first
            assert hearth.log.count("urgent lane: not connected") == 1
            assert await hearth.end() == 0


@needs_mosquitto
async def test_it_says_when_the_broker_goes_and_comes(broker, store_url):
    arguments = ("--url", broker.url, "--store", store_url, "--lines")
    async with Hearth(*arguments) as hearth, home(broker) as press:
        press()
        await until(lambda: hearth.lines)
        await broker.kill()
        await hearth.said("urgent lane: not connected: ")
        await broker.start()
        await until(lambda: hearth.log.count("urgent lane: connected") == 2, timeout_s=20)


@needs_mosquitto
async def test_figures_for_prometheus(broker, store_url):
    address = f"127.0.0.1:{free_port()}"
    arguments = ("--url", broker.url, "--store", store_url, "--lines", "--metrics", address)
    async with Hearth(*arguments) as hearth, home(broker) as press:
        press()
        await until(lambda: hearth.lines)
        request = urllib.request.Request(f"http://{address}/metrics")
        request.add_header("accept", "application/openmetrics-text; version=1.0.0")
        text = await asyncio.to_thread(lambda: urllib.request.urlopen(request).read().decode())
        values = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        assert values["hearth_collector_stored_events_total",] == 1
        assert values["hearth_collector_connected", "urgent"] == 1
        assert values["hearth_collector_output_delivered_total", "lines"] == 1
        assert await hearth.end() == 0


# --- what it refuses ---


def refused(capsys, *arguments):
    assert main(["collect", "--store", "sqlite:/nowhere/x.db", *arguments]) == 2
    return capsys.readouterr().err


BROKER = ("--url", "mqtt://127.0.0.1:1")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "--url: missing"),
        ((*BROKER, "--share", "a/b"), "'a/b' names no shared subscription"),
        ((*BROKER, "--command", "/no/such"), "names no program"),
        ((*BROKER, "--webhook", "https://x/"), "--webhook-secret-file: missing"),
        ((*BROKER, "--webhook-secret-file", "x"), "there is no --webhook"),
        ((*BROKER, "--metrics", "9465"), "is no HOST:PORT"),
    ],
)
def test_arguments_that_will_not_do(arguments, told, capsys, monkeypatch):
    monkeypatch.setenv("HEARTH_LANG", "en")
    assert told in refused(capsys, *arguments)


def test_a_webhook_in_plaintext_needs_a_word(capsys, secret):
    arguments = (*BROKER, "--webhook", "http://far.example/", "--webhook-secret-file", secret)
    assert "--allow-plaintext" in refused(capsys, *arguments)


def test_a_secret_that_others_can_read(capsys, secret):
    Path(secret).chmod(0o644)
    arguments = (*BROKER, "--webhook", "https://far.example/", "--webhook-secret-file", secret)
    told = refused(capsys, *arguments)
    assert "open to every user" in told
    assert "whsec_" not in told


def test_a_database_that_cannot_be_opened(capsys):
    assert main(["collect", "--store", "sqlite:/nowhere/x.db", *BROKER]) == 1
    assert "/nowhere/x.db" in capsys.readouterr().err
