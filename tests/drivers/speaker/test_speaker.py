"""The loudspeaker: says what the home has to say, stops at once, survives what is missing."""

from __future__ import annotations

import asyncio
import shutil
import wave
from pathlib import Path

import msgspec
import pytest
from driven import driven_by
from speech_bench import ENGINE, PLAYER, SOUND, Bench, alive, children
from stub_house import StubUtterance

from drivers.speaker import driver as driver_module
from drivers.speaker.engine import engine_command, limit_s, player_command, synthesise
from drivers.speaker.settings import SpeakerSettings
from gateway.driver import load_driver
from gateway.errors import DeviceRefused, DeviceSilent, DriverError, LinkLost

# Notes its process and a child that outlives it, then hangs; the child holds its pipes open.
HANGS = 'sleep 600 & echo $! > "$0.child"; echo $$ > "$0.pid"; cat > /dev/null; sleep 600'


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    before = children()
    yield
    assert children() - before == set()


async def say(bench: Bench, *args, **more) -> StubUtterance:
    """An utterance that was said to its end."""
    utterance = StubUtterance(*args, **more)
    bench.context.house.utterances.put_nowait(utterance)
    async with asyncio.timeout(10):
        await utterance.was_said.wait()
    return utterance


async def ids_of(bench: Bench, name: str) -> list[int]:
    paths = [bench.folder / f"{name}.{it}" for it in ("pid", "child")]
    await bench.until(lambda: all(it.exists() and it.read_text().strip() for it in paths))
    return [int(it.read_text()) for it in paths]


# --- speaking ------------------------------------------------------------------------------------


async def test_a_text_goes_to_the_engine_by_its_input_and_to_the_player_as_sound(bench):
    text = '吃药; $(touch /tmp/x) `id` "quoted" --help'
    async with driven_by(bench.driver):
        await say(bench, text, language="zh")
    assert bench.seen("engine")[1:] == [text.encode()]
    assert (bench.folder / "engine.args").read_text().split() == ["en", "zh"]
    assert bench.seen("player")[1:] == [SOUND]
    assert bench.context.states == [
        ("online", {"engine": str(bench.engine), "player": str(bench.player)})
    ]


async def test_one_after_the_other(bench):
    async with driven_by(bench.driver):
        for number in range(4):
            await say(bench, f"text {number}")
    assert bench.seen("engine")[1:] == [f"text {number}".encode() for number in range(4)]


async def test_a_phrase_that_lies_on_disk_needs_no_engine(bench):
    bench.sound("zh", "call_stored", b"RIFF a recording")
    async with driven_by(bench.driver):
        await say(bench, "呼叫已记下。", language="zh", phrase="call_stored")
        await say(bench, "kept", language="en", phrase="call_stored")
    assert bench.seen("player")[1:] == [b"RIFF a recording", SOUND]
    assert bench.seen("engine")[1:] == [b"kept"]


@pytest.mark.parametrize(
    ("language", "phrase"), [("en", "../en/a"), ("..", "a"), ("en", "a/b"), ("en", "")]
)
async def test_names_lead_out_of_no_folder(bench, language, phrase):
    bench.sound("en", "a", b"not this")
    async with driven_by(bench.driver):
        await say(bench, "text", language=language, phrase=phrase)
    assert bench.seen("player")[-1] == SOUND


async def test_an_empty_file_is_no_sound(bench):
    bench.sound("en", "call_stored", b"")
    async with driven_by(bench.driver):
        await say(bench, "text", phrase="call_stored")
    assert bench.seen("engine")[-1] == b"text"


async def test_the_card_is_tried_with_silence_before_there_is_anything_to_say(bench):
    async with driven_by(bench.driver):
        await bench.until_state("online")
    (proof,) = bench.seen("player")
    path = bench.folder / "proof.wav"
    path.write_bytes(proof)
    with wave.open(str(path)) as sound:
        assert set(sound.readframes(sound.getnframes())) == {0}


# --- interruption --------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["engine", "player"])
async def test_something_more_important_stops_it_at_once(bench, which):
    async with driven_by(bench.driver):
        await bench.until_state("online")
        bench.script(which, HANGS)
        weather = StubUtterance("rain")
        bench.context.house.utterances.put_nowait(weather)
        processes = await ids_of(bench, which)
        assert all(map(alive, processes))
        bench.script(which, {"engine": ENGINE, "player": PLAYER}[which])
        weather.interruption.set()
        await say(bench, "your call is kept")  # what hangs is given 12 s and more
        await bench.until(lambda: not any(map(alive, processes)))
    assert not weather.was_said.is_set()
    assert bench.seen("engine")[-1] == b"your call is kept"


async def test_cancelling_kills_what_runs(bench):
    async with driven_by(bench.driver):
        await bench.until_state("online")
        bench.script("player", HANGS)
        bench.context.house.utterances.put_nowait(StubUtterance("text"))
        processes = await ids_of(bench, "player")
    await bench.until(lambda: not any(map(alive, processes)))


# --- what is missing, broken, hangs --------------------------------------------------------------


@pytest.fixture
def tries_at_once(monkeypatch):
    monkeypatch.setattr(driver_module, "_FIRST_TRY_S", 0.02)
    monkeypatch.setattr(driver_module, "_LAST_TRY_S", 0.05)


async def test_without_a_player_nothing_is_taken_until_it_is_there(tries_at_once, tmp_path):
    bench = Bench(tmp_path)
    bench.player.unlink()
    utterance = StubUtterance("your call is kept")
    bench.context.house.utterances.put_nowait(utterance)
    async with driven_by(bench.driver):
        reason = await bench.until_state("offline")
        assert "player cannot be started: No such file or directory" in reason
        assert not utterance.was_said.is_set()
        assert bench.context.house.utterances.qsize() == 1
        bench.script("player", PLAYER)
        async with asyncio.timeout(10):
            await utterance.was_said.wait()
    assert [state for state, _ in bench.context.states][-1] == "online"


async def test_without_an_engine_phrases_on_disk_are_heard(tries_at_once, tmp_path):
    bench = Bench(tmp_path, engine=("no-such-engine",))
    bench.sound("en", "call_stored")
    async with driven_by(bench.driver):
        reason = await bench.until_state("offline")
        assert "no-such-engine cannot be started" in reason
        await say(bench, "kept", phrase="call_stored")
        assert [state for state, _ in bench.context.states] == ["offline"]


async def test_an_engine_that_comes_back_says_what_was_not_said(tries_at_once, tmp_path):
    bench = Bench(tmp_path)
    bench.script("engine", "cat > /dev/null; echo no voice >&2; exit 3")
    async with driven_by(bench.driver):
        reason = await bench.until_state("offline")
        assert reason.endswith("engine ended with 3: no voice")
        unheard = StubUtterance("pill")
        bench.context.house.utterances.put_nowait(unheard)
        await bench.until(bench.context.house.utterances.empty)
        bench.script("engine", ENGINE)
        await say(bench, "pill, again")
    assert bench.context.states[-1][0] == "online"


async def test_a_card_that_is_pulled_out_is_told_with_its_reason(tries_at_once, tmp_path):
    bench = Bench(tmp_path)
    async with driven_by(bench.driver):
        await bench.until_state("online")
        bench.script("player", 'echo "audio open error: No such device" >&2; exit 1')
        utterance = StubUtterance("text")
        bench.context.house.utterances.put_nowait(utterance)
        reason = await bench.until_state("offline")
        assert "player ended with 1: audio open error: No such device" in reason
        assert not utterance.was_said.is_set()


async def test_complaints_are_bounded(bench):
    bench.script("player", "yes 'no device' | head -c 3000000 >&2; exit 1")
    async with driven_by(bench.driver):
        reason = await bench.until_state("offline")
    assert "no device no device" in reason
    assert len(reason) < 300


async def test_who_fails_for_ever_is_not_asked_all_the_time(bench):
    bench.script("player", 'echo >> "$0.tries"; exit 1')
    async with driven_by(bench.driver):
        await bench.until_state("offline")
        await asyncio.sleep(1.2)
    assert len((bench.folder / "player.tries").read_text()) <= 3


async def test_one_that_hangs_is_killed(bench, monkeypatch, tries_at_once):
    async with driven_by(bench.driver):
        await bench.until_state("online")
        monkeypatch.setattr(driver_module, "limit_s", lambda text: 0.3)
        bench.script("engine", HANGS)
        bench.context.house.utterances.put_nowait(StubUtterance("text"))
        processes = await ids_of(bench, "engine")
        reason = await bench.until_state("offline")
        assert "not done within 0.3 s" in reason
        await bench.until(lambda: not any(map(alive, processes)))


async def test_a_child_that_holds_the_pipes_does_not_hold_up_the_end(bench):
    bench.script("player", f"{PLAYER}; sleep 600 &")
    async with driven_by(bench.driver):
        await say(bench, "text")  # what does not end is given 12 s and more


@pytest.mark.parametrize("body", ["cat > /dev/null", "cat", "cat > /dev/null; echo RIFFxxxxWAVE"])
async def test_an_engine_that_makes_no_sound_is_told(bench, body):
    bench.script("engine", body)
    async with driven_by(bench.driver):
        assert "cannot be played" in await bench.until_state("offline")


async def test_a_player_that_does_not_listen_to_the_end_is_no_fault_of_the_engine(bench):
    (bench.folder / "player").write_text("#!/bin/sh\nhead -c 100 > /dev/null\n")
    bench.script("engine", 'cat > "$0.in.1"; cat "$0.wav"; head -c 1000000 /dev/zero')
    async with driven_by(bench.driver):
        await say(bench, "text")


# --- orders --------------------------------------------------------------------------------------


async def test_it_says_which_one_it_is_and_what_was_ordered(bench):
    async with driven_by(bench.driver):
        assert await bench.driver.command("identify", {}) == {}
        assert await bench.driver.command("say", {"text": "您好"}) == {}
    assert bench.seen("engine")[1:] == [b"speaker-hall", "您好".encode()]
    assert (bench.folder / "engine.args").read_text().split() == ["en", "en", "zh"]


@pytest.mark.parametrize("text", ["", "a\x1b", 5, "x" * 201, None])
async def test_orders_that_are_refused(bench, text):
    with pytest.raises(DriverError, match="cannot be said"):
        await bench.driver.command("say", {"text": text})


async def test_other_orders_are_not_known(bench):
    with pytest.raises(DriverError, match="does not know 'explode'"):
        await bench.driver.command("explode", {})


async def test_what_the_home_has_to_say_goes_before_an_order(bench):
    async with driven_by(bench.driver):
        await bench.until_state("online")
        bench.script("player", HANGS)
        order = asyncio.create_task(bench.driver.command("say", {"text": "hello"}))
        await ids_of(bench, "player")
        bench.script("player", PLAYER)
        await say(bench, "your call is kept")
        with pytest.raises(DeviceRefused, match="more important"):
            await order


async def test_an_order_that_failed_says_so(bench, tries_at_once):
    async with driven_by(bench.driver):
        await bench.until_state("online")
        bench.script("engine", "echo no voice >&2; exit 3")
        with pytest.raises(DeviceRefused, match="no voice"):
            await bench.driver.command("say", {"text": "hello"})


async def test_an_order_does_not_wait_for_ever(bench, monkeypatch):
    monkeypatch.setattr(driver_module, "_ORDER_S", 0.05)
    with pytest.raises(DeviceSilent, match="not said within"):
        await bench.driver.command("say", {"text": "hello"})  # nobody runs it
    assert not bench.driver._orders


# --- command lines -------------------------------------------------------------------------------


def test_the_defaults():
    settings = SpeakerSettings()
    assert engine_command((), "zh", settings.speed) == [
        "espeak-ng", "-v", "cmn", "-s", "140", "-b", "1", "--stdin", "--stdout"
    ]  # fmt: skip
    assert engine_command((), "en", 175)[2] == "en"
    assert player_command((), "hw:1") == ["aplay", "-q", "-D", "hw:1"]
    assert player_command(("mpv", "-"), "hw:1") == ["mpv", "-"]
    assert engine_command(("piper", "{language}.onnx"), "zh", 1) == ["piper", "zh.onnx"]
    assert limit_s("x" * 200) < 200


@pytest.mark.parametrize(
    "options",
    [{"engine": [""]}, {"speed": 10}, {"device": ""}, {"engine": ["x"] * 33}, {"volume": 1}],
)
def test_options_that_are_refused(options):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(options, SpeakerSettings)


def test_it_is_installed():
    assert load_driver("speaker").Settings is SpeakerSettings


async def test_no_engine_no_player_no_card():
    with pytest.raises(LinkLost, match="cannot be started"):
        await synthesise(["no-such-engine"], "text")


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not on this machine")
@pytest.mark.parametrize(
    ("language", "text"), [("zh", "呼叫已记下，正在联系人。"), ("en", "Your call is kept.")]
)
async def test_espeak_ng_speaks(tmp_path, language, text):
    """The real engine, by the driver's own command line, into a player that keeps the sound."""
    bench = Bench(tmp_path, engine=())
    async with driven_by(bench.driver):
        await say(bench, text, language=language)
    streamed = bench.seen("player")[-1]
    assert streamed.startswith(b"RIFF")
    path = Path(tmp_path / "whole.wav")
    path.write_bytes(await synthesise(engine_command((), language, 140), text))
    with wave.open(str(path)) as sound:
        assert sound.getsampwidth() == 2
        assert 1.0 < sound.getnframes() / sound.getframerate() < 10.0
        assert len(streamed) > sound.getnframes() * 2 * 0.9
        assert max(sound.readframes(sound.getnframes())) > 100
