"""Whole conversations with the virtual modem, with all that can be wrong with it."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from driven import driven_by
from stub_context import StubContext
from stub_house import StubMessage

from drivers.modem import conversation, driver, modem
from drivers.modem.driver import ModemDriver
from drivers.modem.settings import ModemSettings
from drivers.sim.modem import VirtualModem
from gateway.errors import LinkLost
from gateway.model import Kind

SON, DESK = "+8613800000000", "+8613900000001"
CALL = "紧急呼叫：幸福路3号2栋301，请速联系。"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    """What takes seconds in a home takes none here."""
    monkeypatch.setattr(conversation, "ANSWER_S", 0.5)
    monkeypatch.setattr(conversation, "WAKE_S", 0.2)
    monkeypatch.setattr(conversation, "QUIET_S", 0.02)
    monkeypatch.setattr(modem, "SEND_S", 0.5)
    monkeypatch.setattr(driver, "CHECK_S", 0.2)
    for name in ("RETRY_FIRST_S", "RETRY_CAP_S", "SEND_RETRY_FIRST_S", "SEND_RETRY_CAP_S"):
        monkeypatch.setattr(driver, name, 0.1)


@pytest.fixture
async def gsm():
    async with asyncio.timeout(30):
        with VirtualModem() as gsm:
            yield gsm


@asynccontextmanager
async def driven(gsm, context, *, numbers=(SON,)):
    settings = ModemSettings(port=gsm.port, numbers=numbers)
    async with driven_by(ModemDriver(settings, context)) as task:
        yield task


def offer(context, text):
    """A text that the house has to send; its outcome is to be awaited."""
    message = StubMessage(text)
    context.house.messages.put_nowait(message)
    return message.outcome


async def offline(context, words):
    """Until the device is offline, for a reason with these words in it."""

    def is_so():
        return any(what == "offline" and words in why for what, why in context.states)

    await context.wait_until(is_so)


async def online(context):
    await context.wait_until(lambda: bool(context.states) and context.states[-1][0] == "online")


async def test_it_is_online_with_its_signal(gsm):
    context = StubContext("modem")
    async with driven(gsm, context):
        (signal,) = await context.wait_for(1)
        (record,) = signal.measurements
        assert (record.name, record.value, record.unit) == ("signal", -73, "dBm")
        assert context.states[0] == ("online", {"port": gsm.port})
        gsm.signal = 21  # wavers
        await asyncio.sleep(0.5)
        gsm.signal = 99
        await asyncio.sleep(0.5)
        gsm.signal = 5
        await context.wait_for(2)
        assert context.values("signal") == [-73, -103]


@pytest.mark.parametrize("text", ["Help! Room 301 @ €5", CALL, "叫" * 200, "a" * 400], ids=len)
async def test_a_text_goes_to_every_number(gsm, text):
    context = StubContext()
    async with driven(gsm, context, numbers=(SON, DESK)):
        outcome = offer(context, text)
        assert await gsm.texted() == (SON, text)
        assert await gsm.texted() == (DESK, text)
        assert await outcome == "sent"


async def test_texts_are_told_from_each_other_by_their_reference(gsm):
    context = StubContext()
    async with driven(gsm, context):
        for text in ("叫" * 100, "来" * 100):
            offer(context, text)
            assert await gsm.texted() == (SON, text)
        assert len({part.reference for part in gsm.messages}) == 2


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({"card": ""}, "no SIM card"),
        ({"card": "SIM PIN"}, "switch its PIN off"),
        ({"card": "SIM PUK"}, "locked"),
        ({"registration": 0}, "in no network"),
        ({"registration": 2}, "aerial"),
        ({"registration": 3}, "refuses this SIM card"),
        ({"silent": True}, "does not answer"),
        ({"unknown": {"AT+CMGF=0"}}, "PDUs"),
        ({"unknown": {"AT+CREG?", "AT+CEREG?"}}, "does not say"),
    ],
    ids=str,
)
async def test_what_keeps_it_from_sending_is_told_and_when_it_is_over(gsm, trouble, words):
    sound = {name: getattr(gsm, name) for name in trouble}
    for name, value in trouble.items():
        setattr(gsm, name, value)
    context = StubContext()
    async with driven(gsm, context):
        await offline(context, words)
        reason = await offer(context, CALL)
        assert reason != "sent"
        for name, value in sound.items():
            setattr(gsm, name, value)
        await online(context)
        assert await offer(context, CALL) == "sent"


async def test_a_modem_of_lte_alone_is_in_its_network(gsm):
    gsm.unknown = {"AT+CREG?"}
    context = StubContext()
    async with driven(gsm, context):
        await online(context)


async def test_a_modem_that_knows_neither_of_the_helps(gsm):
    gsm.unknown = {"ATE0", "AT+CMEE=1", "AT+CSQ"}
    context = StubContext()
    async with driven(gsm, context):
        assert await offer(context, CALL) == "sent"
        assert context.observations == []


async def test_a_refusal_is_tried_again(gsm):
    gsm.refuse("+CMS ERROR: 500", "ERROR")
    context = StubContext()
    async with driven(gsm, context):
        assert await offer(context, CALL) == "sent"
        assert len(gsm.messages) == 1


async def test_what_is_refused_again_and_again_is_given_back_with_the_reason(gsm):
    gsm.refuse(*["+CMS ERROR: 38"] * 3)
    context = StubContext()
    async with driven(gsm, context):
        assert "+CMS ERROR: 38" in await offer(context, CALL)
        assert await offer(context, CALL) == "sent"


async def test_one_number_that_gets_it_is_enough_and_the_other_is_a_fault(gsm):
    gsm.refuse(*["+CMS ERROR: 1"] * 3)
    context = StubContext()
    async with driven(gsm, context, numbers=(SON, DESK)):
        assert await offer(context, CALL) == "sent"
        assert await gsm.texted() == (DESK, CALL)
        (fault,) = context.of(Kind.FAULT)
        assert fault.detail["fault"] == "number_1"
        assert "+CMS ERROR: 1" in fault.detail["what"]
        assert SON not in str(fault.detail)


async def test_no_answer_to_a_message_is_sent_again(gsm):
    gsm.refuse("")
    context = StubContext()
    async with driven(gsm, context):
        assert await offer(context, CALL) == "sent"


async def test_unsolicited_lines_in_between_are_no_answers(gsm):
    gsm.noise = b'\r\nRING\r\n\r\n+CMTI: "SM",3\r\n\r\n^RSSI:20\r\n'
    context = StubContext()
    async with driven(gsm, context, numbers=(SON, DESK)):
        outcome = offer(context, CALL)
        for _ in range(20):
            gsm.say("+CREG: 2")
            await asyncio.sleep(0.01)
        assert await outcome == "sent"
        assert context.values("signal") == [-73]


async def test_garbage_is_no_answer_and_is_survived(gsm):
    gsm.noise = bytes(range(128, 256)) * 2 + b"\xff\r\n"
    context = StubContext()
    async with driven(gsm, context):
        assert await offer(context, CALL) == "sent"


async def test_a_flood_is_left_and_told(gsm):
    gsm.noise = b"RING\r\n" * 300
    context = StubContext()
    async with driven(gsm, context):
        await offline(context, "modem")
        gsm.noise = b""
        await online(context)


async def test_a_late_answer_is_not_taken_for_the_next(gsm):
    context = StubContext()
    async with driven(gsm, context):
        await online(context)
        gsm.silent = True
        await offline(context, "answer")
        gsm.silent = False
        gsm.say("+CPIN: SIM PUK")
        gsm.say("OK")
        await online(context)
        assert not any("locked" in str(why) for _, why in context.states)


async def test_unplugged_is_link_lost_and_a_new_instance_goes_on(gsm):
    context = StubContext()
    settings = ModemSettings(port=gsm.port, numbers=(SON,))
    run = asyncio.create_task(ModemDriver(settings, context).run())
    await online(context)
    gsm.unplug()
    with pytest.raises(LinkLost):
        await run
    with pytest.raises(LinkLost):
        await ModemDriver(settings, context).run()
    gsm.plug_in()
    async with driven(gsm, context):
        assert await offer(context, CALL) == "sent"


async def test_a_text_on_its_way_when_the_port_goes_is_given_back(gsm):
    gsm.refuse("", "", "")
    context = StubContext()
    settings = ModemSettings(port=gsm.port, numbers=(SON,))
    run = asyncio.create_task(ModemDriver(settings, context).run())
    outcome = offer(context, CALL)
    while not any(line.startswith("AT+CMGS") for line in gsm.heard):
        await asyncio.sleep(0.01)
    gsm.unplug()
    assert "port" in await outcome
    with pytest.raises(LinkLost):
        await run
