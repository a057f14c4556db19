"""Whether there is what a loudspeaker needs, told without a sound."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.speaker.engine import engine_command, player_command
from gateway.finding import Words, fault, ok, warning

if TYPE_CHECKING:
    from drivers.speaker.settings import SpeakerSettings
    from gateway.finding import Finding

_DEVICES = Path("/dev/snd")
_OUTPUTS = "pcmC*D*p"  # ALSA's playback devices
_NO_CARD = fault(
    "there is no sound card: nothing is said aloud",
    "没有声卡：无法发声",
    hint=Words(
        "plug one in; the rest of hearth runs without",
        "请插入声卡；hearth 的其他功能不受影响",
    ),
)
_CARD_NOT_OURS = fault(
    "no sound card is ours to open",
    "无权打开声卡",
    hint=Words("the user hearth must be in the group audio", "hearth 用户须在 audio 组中"),
)
_NOT_RENDERED = warning(
    "the fixed phrases do not lie on disk: each is made when it is needed",
    "固定语句尚未预先合成：需要时才临时合成",
    hint=Words.same("hearth phrases render"),
)


def look_at_speaker(settings: SpeakerSettings) -> list[Finding]:
    """Player, engine, sound card, phrases."""
    player = player_command(settings.player, settings.device)[0]
    engine = engine_command(settings.engine, "en", settings.speed)[0]
    findings = [_program(player, "alsa-utils"), _program(engine, "espeak-ng")]
    if not settings.player:  # another player may reach a loudspeaker by other ways
        findings.append(_card())
    if not any(Path(settings.sounds).glob("*/*.wav")):
        findings.append(_NOT_RENDERED)
    return [it for it in findings if it]


def _program(name: str, package: str) -> Finding:
    if shutil.which(name):
        return ok(f"{name} is installed", f"{name} 已安装")
    known = name in {"aplay", "espeak-ng"}
    hint = Words.same(f"sudo apt install {package}") if known else Words("", "")
    return fault(f"{name} is not installed", f"未安装 {name}", hint=hint)


def _card() -> Finding:
    outputs = sorted(_DEVICES.glob(_OUTPUTS))
    if not outputs:
        return _NO_CARD
    if not any(os.access(it, os.R_OK | os.W_OK) for it in outputs):
        return _CARD_NOT_OURS
    return ok("a sound card is there", "声卡已就绪")
