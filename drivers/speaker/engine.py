"""The command lines of engine and player, and how long they may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.speaker.chain import run_chain
from drivers.speaker.wav import whole
from gateway.errors import DecodeError, DeviceRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

_VOICES = {"zh": "cmn", "en": "en"}
# s. espeak-ng at its slowest says three Chinese characters a second; twice that, and its start.
_START_S, _CHARACTER_S = 10.0, 0.7


def engine_command(given: Sequence[str], language: str, speed: int) -> list[str]:
    """What makes speech of text."""
    if given:
        return [argument.replace("{language}", language) for argument in given]
    voice = _VOICES.get(language, "en")
    return ["espeak-ng", "-v", voice, "-s", str(speed), "-b", "1", "--stdin", "--stdout"]


def player_command(given: Sequence[str], device: str) -> list[str]:
    """What plays it."""
    return list(given) or ["aplay", "-q", "-D", device]


def limit_s(text: str) -> float:
    """How long it may take to say this; what takes longer hangs."""
    return _START_S + _CHARACTER_S * len(text)


async def synthesise(command: Sequence[str], text: str) -> bytes:
    """A text as a WAV.

    Raises:
        LinkLost, DeviceRefused, DeviceSilent: the engine cannot be started, failed, hangs.
    """
    sound = await run_chain([command], text.encode(), limit_s(text), keep=True)
    try:
        return whole(sound)
    except DecodeError as error:
        raise DeviceRefused(f"what {command[0]} writes cannot be played: {error}") from error
