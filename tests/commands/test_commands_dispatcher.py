"""Every rule of the dispatcher: what is carried out, once, and what is refused by which name."""

import asyncio
import subprocess
import sys
from pathlib import Path

import cbor2
import pytest
from brokers import GATEWAY
from hypothesis import given
from hypothesis import strategies as st
from ordered import (
    DAY,
    HOUR,
    KEY,
    NOW,
    OTHER_KEY,
    Desk,
    command_of,
    message_of,
    refused,
    signed,
)

from gateway.commands import dispatcher as dispatcher_module
from gateway.commands import ledger as ledger_module
from gateway.commands.wire import (
    MAX_COMMAND_BYTES,
    Outcome,
    Reply,
    encode_command,
    encode_envelope,
)
from gateway.errors import JournalSaturated, JournalWriteFailed
from gateway.model import Kind, TimeQuality
from gateway.signing.signature import COMMAND
from gateway.uplink import Message, down_topic

MINUTE = 60_000


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


async def test_an_order_is_carried_out_answered_and_told(desk):
    reply = await desk.order()
    assert reply == Reply(command_of().id, Outcome.DONE, "", {"count": 1})
    assert desk.done == [("call.accept", "desk-1", {"call": "17"})]
    (event,) = desk.events
    assert event.kind is Kind.COMMAND
    assert event.detail == {
        "command": command_of().id.hex(), "name": "call.accept", "who": "desk-1", "outcome": "done",
    }  # fmt: skip


# --- once ---


async def test_a_repeated_order_is_answered_alike_and_carried_out_once(desk):
    first = await desk.dispatcher.handle(message_of(command_of()))
    again = await desk.dispatcher.handle(message_of(command_of()))
    assert first == again
    assert (len(desk.done), len(desk.events)) == (1, 1)
    assert desk.dispatcher.counters["repeated"] == 1


async def test_the_same_after_a_restart(desk, tmp_path):
    first = await desk.order()
    other = Desk(tmp_path)
    assert await other.order() == first
    assert (other.done, other.events) == ([], [])


async def test_an_outcome_that_is_not_done_is_kept_alike(desk, tmp_path):
    replies = [await desk.order(n, name) for n, name in enumerate(["refuses", "fails"])]
    other = Desk(tmp_path)
    assert [await other.order(n, name) for n, name in enumerate(["refuses", "fails"])] == replies


async def test_a_repeat_while_it_is_being_carried_out(desk):
    tasks = [asyncio.create_task(desk.order(1, "slow")) for _ in range(3)]
    await desk.begun.wait()
    tasks.append(asyncio.create_task(desk.order(1, "slow")))
    assert (await desk.order(2)).outcome is Outcome.DONE, "others do not wait for it"
    desk.hold.set()
    assert {(await task).outcome for task in tasks} == {Outcome.DONE}
    assert [name for name, *_ in desk.done] == ["call.accept", "slow"]


async def test_who_stops_waiting_does_not_stop_the_command(desk):
    """As when the link is lost: the sender's next try gets the reply."""
    first = asyncio.create_task(desk.order(1, "slow"))
    await desk.begun.wait()
    first.cancel()
    await asyncio.wait([first])
    again = asyncio.create_task(desk.order(1, "slow"))
    desk.hold.set()
    assert (await again).outcome is Outcome.DONE
    assert len(desk.done) == 1


async def test_a_stop_in_the_middle_leaves_it_unknown(desk, tmp_path):
    waiting = asyncio.create_task(desk.order(1, "slow"))
    await desk.begun.wait()
    await desk.dispatcher.close()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    other = Desk(tmp_path)
    unknown = Reply(command_of().id, Outcome.UNKNOWN, "unknown whether done")
    assert [await other.order(1, "slow") for _ in range(2)] == [unknown] * 2
    assert [told["outcome"] for told in other.told()] == ["unknown"]
    assert not other.begun.is_set()


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from ordered import Desk, message_of, command_of

folder = Path(sys.argv[1])

async def main():
    desk = Desk(folder)

    async def handler(who, arguments):
        with open(folder / "done", "a") as file:
            file.write("once\\n")
        os.kill(os.getpid(), signal.SIGKILL)

    desk.dispatcher.register("notice.add", handler)
    desk.dispatcher.register("weather.set", handler, repeatable=True)
    for n, name in enumerate(["notice.add", "weather.set"]):
        print((await desk.order(n, name)).outcome.name, flush=True)

asyncio.run(main())
"""


def test_kill_9_in_the_middle(tmp_path):
    """The first run dies in the first order, the second in the next, which may be done again."""
    here = Path(__file__).parent
    paths = [str(here), str(here.parent), str(here.parent.parent)]
    run = [sys.executable, "-c", KILLED, str(tmp_path), *paths]
    results = [subprocess.run(run, capture_output=True, text=True, timeout=60) for _ in range(3)]
    assert [r.stdout.split() for r in results] == [[], ["UNKNOWN"], ["UNKNOWN"]], results[0].stderr
    assert [result.returncode for result in results] == [-9] * 3
    assert (tmp_path / "done").read_text() == "once\n" * 3


async def test_what_was_begun_and_may_be_repeated_is_done_again(desk, tmp_path):
    command = command_of(1, "weather.set")
    digest = dispatcher_module._digest(encode_command(command))
    await desk.dispatcher._ledger.begin(command, digest, NOW)
    other = Desk(tmp_path)
    assert (await other.order(1, "weather.set")).outcome is Outcome.DONE
    assert len(other.done) == 1


async def test_an_id_that_was_used_for_something_else(desk):
    await desk.order(1)
    assert await desk.order(1, "notice.add") == refused(1, "id used twice")
    assert await desk.order(1, who="somebody else") == refused(1, "id used twice")
    assert len(desk.done) == 1


async def test_a_clock_that_is_set_back_opens_no_door(desk):
    await desk.order(1)
    desk.clock.now_ms = NOW + HOUR
    await desk.order(2, issued_ms=NOW + HOUR, expires_ms=NOW + 2 * HOUR)
    desk.clock.now_ms = NOW
    assert await desk.order(1) == refused(1, "expired")
    assert len(desk.done) == 2


async def test_one_that_was_held_back_does_not_undo_its_successor(desk, tmp_path):
    await desk.order(1, "weather.set", issued_ms=NOW + 1)
    assert (await desk.order(2, "weather.set", issued_ms=NOW + 3)).outcome is Outcome.DONE
    for it in (desk, Desk(tmp_path)):
        assert await it.order(3, "weather.set", issued_ms=NOW + 2) == refused(3, "overtaken")
        assert (await it.order(1, "weather.set", issued_ms=NOW + 1)).outcome is Outcome.DONE
    assert (await desk.order(4, "weather.set", issued_ms=NOW + 3)).outcome is Outcome.DONE
    assert len(desk.done) == 3
    assert (await desk.order(5, "notice.add", issued_ms=NOW)).outcome is Outcome.DONE, "others add"


# --- times ---

TIMES = {
    "expired": (NOW - HOUR, NOW, "expired"),
    "just not expired": (NOW - HOUR, NOW + 1, ""),
    "a little in the future": (NOW + 5 * MINUTE, NOW + HOUR, ""),
    "in the future": (NOW + 5 * MINUTE + 1, NOW + HOUR, "issued in the future"),
    "a week": (NOW, NOW + 7 * DAY, ""),
    "more than a week": (NOW, NOW + 7 * DAY + 1, "lifetime"),
    "no time": (NOW + 1, NOW + 1, "lifetime"),
    "backwards": (NOW + 2, NOW + 1, "lifetime"),
}


@pytest.mark.parametrize("name", TIMES)
async def test_times(desk, name):
    issued, expires, reason = TIMES[name]
    reply = await desk.order(1, issued_ms=issued, expires_ms=expires)
    assert reply.reason == reason
    assert bool(desk.done) == (not reason)


async def test_a_refusal_is_not_kept(desk):
    assert (
        await desk.order(1, issued_ms=NOW + HOUR, expires_ms=NOW + DAY)
    ).outcome is Outcome.REFUSED
    desk.clock.now_ms = NOW + HOUR
    assert (await desk.order(1, issued_ms=NOW + HOUR, expires_ms=NOW + DAY)).outcome is Outcome.DONE


async def test_while_the_clock_is_unknown_only_what_is_fresh_itself(desk):
    desk.clock.quality = TimeQuality.UNKNOWN
    desk.clock.now_ms = 0
    assert await desk.order(1, "notice.add") == refused(1, "clock unknown")
    assert await desk.order(2, arguments={"call": "16"}) == refused(2, "clock unknown")
    assert (await desk.order(3)).outcome is Outcome.DONE
    assert (await desk.order(3)).outcome is Outcome.DONE
    assert await desk.order(4, expires_ms=NOW + 30 * DAY) == refused(4, "lifetime")
    assert len(desk.done) == 1


async def test_arguments_that_upset_the_question_whether_they_are_fresh(desk, caplog):
    """A list where an id belongs, looked up in a set."""
    desk.clock.quality = TimeQuality.UNKNOWN
    assert await desk.order(1, arguments={"call": [{"a": 1}]}) == refused(1, "clock unknown")
    assert "cannot be told" in caplog.text


async def test_a_lost_ledger_refuses_what_may_have_been_done(tmp_path):
    before = Desk(tmp_path)
    await before.order(1, "notice.add")
    before.path.write_bytes(b"damaged")
    desk = Desk(tmp_path)
    assert await desk.order(1, "notice.add") == refused(1, "ledger lost")
    assert (await desk.order(2)).outcome is Outcome.DONE, "names an open call"
    desk.clock.now_ms = NOW + 6 * MINUTE
    later = {"issued_ms": NOW + 6 * MINUTE, "expires_ms": NOW + HOUR}
    assert (await desk.order(3, "notice.add", **later)).outcome is Outcome.DONE
    assert await desk.order(1, "notice.add") == refused(1, "ledger lost")


# --- what is not answered ---


async def test_what_is_not_signed_by_us_is_counted_and_not_answered(desk):
    topic = down_topic(GATEWAY, "call.accept")
    right = signed(command_of())
    payloads = {
        "oversized": bytes(MAX_COMMAND_BYTES + 1),
        "malformed": b"\xff",
        "unknown_version": cbor2.dumps([2, b"", bytes(64)]),
        "bad_signature": signed(command_of(), OTHER_KEY),
    }
    for payload in payloads.values():
        assert await desk.dispatcher.handle(Message(topic, payload)) is None
    for payload in (right[:-1], right + b"\0", b"", right[:-1] + bytes([right[-1] ^ 1])):
        assert await desk.dispatcher.handle(Message(topic, payload)) is None
    counters = desk.dispatcher.counters
    assert [counters[f"ignored_{name}"] for name in payloads] == [1, 4, 1, 2]
    assert (desk.done, desk.events) == ([], [])


async def test_signed_nonsense_without_an_id_is_not_answered_either(desk):
    for body in (b"", b"\xff", cbor2.dumps([1, GATEWAY]), cbor2.dumps("hello")):
        payload = encode_envelope(KEY.sign(COMMAND, body))
        assert await desk.dispatcher.handle(Message(down_topic(GATEWAY, "x"), payload)) is None
    assert desk.dispatcher.counters["ignored_malformed"] == 4


async def test_without_a_key_no_command_is_taken(tmp_path):
    desk = Desk(tmp_path, keys=())
    assert await desk.order() is None
    assert desk.done == []


async def test_several_keys(tmp_path):
    desk = Desk(tmp_path, keys=(OTHER_KEY, KEY))
    assert (await desk.say(message_of(command_of(1), KEY))).outcome is Outcome.DONE
    assert (await desk.say(message_of(command_of(2), OTHER_KEY))).outcome is Outcome.DONE


@given(st.binary(max_size=300), st.booleans())
def test_nothing_that_comes_in_ends_it(data, vouched):
    async def offer():
        desk = Desk(Path("/nonexistent"))
        payload = encode_envelope(KEY.sign(COMMAND, data)) if vouched else data
        await desk.dispatcher.handle(Message(down_topic(GATEWAY, "call.accept"), payload))
        return desk.done

    assert asyncio.run(offer()) == []


# --- what is refused ---


async def test_signed_orders_are_refused_by_name(desk):
    assert await desk.order(1, gateway="gw-2") == refused(1, "wrong gateway")
    assert await desk.order(2, "no.such") == refused(2, "unknown command")
    elsewhere = Message(down_topic(GATEWAY, "call.close"), signed(command_of(3)))
    assert await desk.say(elsewhere) == refused(3, "wrong topic")
    for name in ("wrong_gateway", "unknown_command", "wrong_topic"):
        assert desk.dispatcher.counters[f"refused_{name}"] == 1
    assert [told["reason"] for told in desk.told()] == [
        "wrong gateway",
        "unknown command",
        "wrong topic",
    ]
    assert desk.done == []


async def test_the_order_for_another_gateway_with_the_same_key(desk):
    """Moved here by whoever runs the broker: the id within says whom it is for."""
    stolen = Message(down_topic(GATEWAY, "call.accept"), signed(command_of(gateway="gw-2")))
    assert (await desk.say(stolen)).reason == "wrong gateway"
    assert desk.done == []


async def test_bodies_that_are_signed_and_of_no_command(desk):
    topic = down_topic(GATEWAY, "call.accept")

    async def say(*items):
        return await desk.say(
            Message(topic, encode_envelope(KEY.sign(COMMAND, cbor2.dumps([*items]))))
        )

    future = await say(2, GATEWAY, bytes(16), {"new": "things"})
    assert (future.id, future.outcome) == (bytes(16), Outcome.REFUSED)
    assert future.reason.startswith("unknown version: ")
    short = await say(1, GATEWAY, bytes([1] * 16))
    assert short.reason.startswith("malformed: ")
    assert (await say(1, "gw-2", bytes([2] * 16))).reason.startswith("wrong gateway")
    assert [told["outcome"] for told in desk.told()] == ["refused"] * 3
    assert desk.dispatcher.counters["refused_unknown_version"] == 1


async def test_a_full_ledger_refuses(desk, monkeypatch):
    monkeypatch.setattr(ledger_module, "MAX_IDS", 2)
    for n in range(2):
        await desk.order(n)
    assert await desk.order(5) == refused(5, "ledger full")
    assert (await desk.order(1)).outcome is Outcome.DONE
    desk.clock.now_ms = NOW + HOUR
    later = {"issued_ms": NOW + HOUR, "expires_ms": NOW + 2 * HOUR}
    assert (await desk.order(6, **later)).outcome is Outcome.DONE


async def test_a_flash_that_takes_no_notes(desk, monkeypatch):
    async def refuse(data):
        raise JournalWriteFailed("read-only")

    monkeypatch.setattr(desk.dispatcher._ledger._file, "replace", refuse)
    assert await desk.order(1, "notice.add") == refused(1, "flash")
    assert desk.done == []
    reply = await desk.order(2, "weather.set")
    assert reply.outcome is Outcome.DONE, "doing it twice would do no harm"
    assert await desk.order(2, "weather.set") == reply
    assert len(desk.done) == 1
    assert desk.dispatcher.counters["not_noted"] == 1


# --- what handlers do ---


async def test_a_handler_that_will_not(desk):
    assert await desk.order(1, "refuses") == refused(1, "no such call")
    assert desk.told()[0]["outcome"] == "refused"
    assert desk.told()[0]["reason"] == "no such call"


async def test_a_handler_that_cannot(desk):
    reply = await desk.order(1, "fails")
    assert (reply.outcome, reply.reason) == (Outcome.FAILED, "band-1: no answer")


async def test_a_handler_with_an_error_in_it_is_one_commands_failure(desk, caplog):
    reply = await desk.order(1, "breaks")
    assert (reply.outcome, reply.reason) == (Outcome.FAILED, "an error in hearth: KeyError")
    assert "Traceback" in caplog.text
    assert (await desk.order(2)).outcome is Outcome.DONE


async def test_a_handler_that_takes_too_long(desk, monkeypatch):
    monkeypatch.setattr(dispatcher_module, "HANDLER_TIMEOUT_S", 0.05)
    reply = await desk.order(1, "slow")
    assert reply.outcome is Outcome.FAILED
    assert reply.reason.startswith("not done within")
    desk.hold.set()
    assert await desk.order(1, "slow") == reply
    assert desk.done == []


async def test_a_result_that_no_reply_can_carry(desk):
    reply = await desk.order(1, "large")
    assert (reply.outcome, reply.result) == (Outcome.DONE, {})
    assert "cannot be told" in reply.reason


async def test_a_reason_that_no_event_can_carry(desk):
    from gateway.errors import CommandRefused

    async def handler(who, arguments):
        raise CommandRefused("\udcff" + "x" * 1000)

    desk.dispatcher.register("odd", handler)
    reply = await desk.order(1, "odd")
    assert reply.reason == "?" + "x" * 255


# --- telling ---


async def test_a_refusal_is_told_once_however_often_it_comes(desk):
    for _ in range(5):
        await desk.order(1, issued_ms=NOW - 2 * HOUR, expires_ms=NOW - HOUR)
    assert len(desk.events) == 1
    assert desk.dispatcher.counters["refused_expired"] == 5


async def test_what_was_told_is_remembered_within_bounds(desk, monkeypatch):
    monkeypatch.setattr(dispatcher_module, "MAX_TOLD", 2)
    for n in (1, 2, 3, 3, 2, 1):
        await desk.order(n, "no.such")
    assert [told["command"][-1] for told in desk.told()] == ["1", "2", "3", "1"]


async def test_a_journal_that_takes_nothing_does_not_keep_the_reply(tmp_path):
    desk = Desk(tmp_path)

    def refuse(observation):
        raise JournalSaturated("full")

    desk.dispatcher._emit = refuse
    assert (await desk.order()).outcome is Outcome.DONE
    assert desk.dispatcher.counters["events_lost"] == 1
