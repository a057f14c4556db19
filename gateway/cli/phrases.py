"""`hearth phrases`: the fixed phrases, listed, or rendered to sound at install."""

from __future__ import annotations

import asyncio
import shlex
from typing import TYPE_CHECKING

from gateway.cli.text import text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gateway.announce.phrases import Phrase

_FOLDER = "/var/lib/hearth/sounds"
_LANGUAGES = ("zh", "en")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "phrases", help=text("what the loudspeaker says", "语音提示内容及预先合成")
    )
    what = parser.add_subparsers(metavar="WHAT", required=True)
    listing = what.add_parser("list", help=text("print every fixed phrase", "列出全部固定语句"))
    _add_languages(listing)
    listing.set_defaults(run=run_list)
    rendering = what.add_parser(
        "render",
        help=text("make a sound file of each", "将固定语句合成为音频文件"),
        description=text(
            "Run it at install, and after an update: a phrase that lies on disk is heard at once, "
            "also without the engine. Replace a file by a recording, and keep it with --missing.",
            "安装和升级后各运行一次：已合成的语句可立即播放，无需语音引擎。"
            "也可换成亲人的录音；重新合成时加 --missing 即可保留。",
        ),
    )
    _add_languages(rendering)
    rendering.add_argument("--folder", default=_FOLDER, help=text("default: ", "默认：") + _FOLDER)
    rendering.add_argument(
        "--engine",
        default="",
        metavar="COMMAND",
        help=text(
            "text from its input to WAV on its output; default: espeak-ng",
            "从标准输入读文本、向标准输出写 WAV 的命令，默认 espeak-ng",
        ),
    )
    rendering.add_argument("--speed", type=int, default=140, help=text("words a minute", "语速"))
    rendering.add_argument(
        "--missing",
        action="store_true",
        help=text("leave files that are there", "保留已有文件"),
    )
    rendering.set_defaults(run=run_render)


def _add_languages(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--language",
        nargs="+",
        choices=_LANGUAGES,
        default=_LANGUAGES,
        help=text("default: both", "默认两种"),
    )


def run_list(arguments: argparse.Namespace) -> int:
    """Print name, language and words of each."""
    for language, phrase in _phrases(arguments.language):
        print(f"{phrase.name:<18} {language}  {phrase.text(language)}")
    return 0


def run_render(arguments: argparse.Namespace) -> int:
    """Make the files; LinkLost or DeviceRefused if the engine cannot."""
    from drivers.speaker.engine import engine_command, synthesise
    from drivers.speaker.sounds import Sounds

    sounds, given = Sounds(arguments.folder), shlex.split(arguments.engine)
    made = kept = 0
    for language, phrase in _phrases(arguments.language):
        path = sounds.path(language, phrase.name)
        if arguments.missing and sounds.find(language, phrase.name):
            kept += 1
            continue
        command = engine_command(given, language, arguments.speed)
        _write(path, asyncio.run(synthesise(command, phrase.text(language))))
        made += 1
    print(
        text(
            f"{arguments.folder}: {made} phrases rendered, {kept} kept",
            f"{arguments.folder}：合成 {made} 条，保留 {kept} 条",
        )
    )
    return 0


def _phrases(languages: Sequence[str]) -> Iterator[tuple[str, Phrase]]:
    from gateway.announce.phrases import PHRASES

    for language in languages:
        for phrase in PHRASES.values():
            yield language, phrase


def _write(path: Path, sound: bytes) -> None:
    """Whole, or not at all; readable for the daemon, whoever renders."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(sound)
    fresh.chmod(0o644)
    fresh.replace(path)
