"""`hearth phrases`: listed, and rendered to sound at install."""

from __future__ import annotations

import shutil
import sys
import wave

import pytest

from gateway.announce.phrases import PHRASES
from gateway.cli.main import main


@pytest.fixture
def engine(tmp_path):
    """Says everything as the same short sound, and keeps what it was given."""
    script = tmp_path / "engine.py"
    script.write_text(
        "import sys, wave\n"
        "with open(sys.argv[0] + '.texts', 'ab') as texts:\n"
        "    texts.write(sys.argv[1].encode() + b' ' + sys.stdin.buffer.read() + b'\\n')\n"
        "with wave.open(sys.stdout.buffer, 'wb') as sound:\n"
        "    sound.setparams((1, 2, 8000, 4, 'NONE', ''))\n"
        "    sound.writeframes(bytes(8))\n"
    )
    return script


def render(engine, folder, *more: str) -> int:
    command = f"{sys.executable} -S {engine} {{language}}"
    return main(["phrases", "render", "--folder", str(folder), "--engine", command, *more])


def texts(engine) -> list[str]:
    return (engine.parent / "engine.py.texts").read_text("utf-8").splitlines()


def test_the_list(capsys, monkeypatch):
    assert main(["phrases", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * len(PHRASES)
    assert any("call_stored" in line and "呼叫已记下" in line for line in lines)


def test_rendered_each_in_its_language_and_kept_if_wanted(engine, tmp_path, capsys):
    folder = tmp_path / "sounds"
    assert render(engine, folder, "--language", "zh") == 0
    assert f"zh {PHRASES['alarm_gas'].zh}" in texts(engine)
    files = sorted(path.stem for path in (folder / "zh").iterdir())
    assert files == sorted(PHRASES)
    assert not (folder / "en").exists()
    with wave.open(str(folder / "zh" / "call_stored.wav")) as sound:
        assert sound.getnframes() == 4
    assert (folder / "zh" / "call_stored.wav").stat().st_mode & 0o777 == 0o644
    (folder / "zh" / "call_stored.wav").write_bytes(b"a recording")
    (folder / "zh" / "call_closed.wav").unlink()
    assert render(engine, folder, "--language", "zh", "--missing") == 0
    assert len(texts(engine)) == len(PHRASES) + 1
    assert (folder / "zh" / "call_stored.wav").read_bytes() == b"a recording"
    assert f"{len(PHRASES) - 1}" in capsys.readouterr().out


def test_an_engine_that_is_missing_or_fails_is_told_in_a_line(tmp_path, capsys):
    folder = str(tmp_path / "sounds")
    for command, what in (("no-such-engine", "cannot be started"), ("false", "ended with 1")):
        assert main(["phrases", "render", "--folder", folder, "--engine", command]) == 1
        assert what in capsys.readouterr().err
    assert not (tmp_path / "sounds").exists()


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not on this machine")
def test_by_espeak_ng(tmp_path):
    assert main(["phrases", "render", "--folder", str(tmp_path)]) == 0
    for language in ("zh", "en"):
        for name in PHRASES:
            with wave.open(str(tmp_path / language / f"{name}.wav")) as sound:
                assert 0.5 < sound.getnframes() / sound.getframerate() < 15
