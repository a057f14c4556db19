"""The control socket, over a real Unix socket: what it answers, and whom it survives."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import threading

import pytest

from gateway import control
from gateway.control import ControlServer, ask
from gateway.errors import ControlError

STATUS = {"gateway": "gw-1", "devices": {"band-1": {"state": "online", "reason": "界"}}}


@pytest.fixture
async def server(tmp_path):
    server = ControlServer(str(tmp_path / "run" / "control.sock"), {"status": lambda _: STATUS})
    await server.start()
    yield server
    await server.close()


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "run" / "control.sock")


async def exchange(path: str, sent: bytes) -> bytes:
    """Everything the server says until it hangs up."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(sent)
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionResetError:  # hung up with our bytes unread
        return b""
    finally:
        writer.close()


async def test_status(server, path):
    assert await asyncio.to_thread(ask, path, "status") == STATUS


async def test_many_ask_at_once(server, path):
    answers = await asyncio.gather(*(asyncio.to_thread(ask, path, "status") for _ in range(20)))
    assert answers == [STATUS] * 20


async def test_a_question_carries_what_it_needs(tmp_path, path):
    server = ControlServer(path, {"twice": lambda request: {"is": 2 * request["of"]}})
    await server.start()
    assert await asyncio.to_thread(ask, path, "twice", of=21) == {"is": 42}
    await server.close()


async def test_an_unknown_question(server, path):
    with pytest.raises(ControlError, match=r"ask one of \['status'\]"):
        await asyncio.to_thread(ask, path, "weather")


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"status\n",
        b'{"ask": "status"\n',
        b"\xff\xfe\n",
        b"[" * 4000 + b"\n",
        b'{"ask": ["status"]}\n',
        b'{"ask": {}}\n',
        b'{"ask": null}\n',
        b"[]\n",
        b"5\n",
        b'"status"\n',
        b'{"ask": "\\ud800"}\n',
    ],
    ids=lambda line: repr(line[:20]),
)
async def test_lines_that_are_no_question(server, path, line):
    answer = json.loads(await exchange(path, line))
    assert set(answer) == {"error"}
    assert await asyncio.to_thread(ask, path, "status") == STATUS


async def test_more_than_a_request(server, path):
    assert await exchange(path, b"x" * (2 * control.MAX_REQUEST_BYTES)) == b""
    assert await exchange(path, b"x" * 200_000 + b"\n") == b""
    assert await asyncio.to_thread(ask, path, "status") == STATUS


async def test_one_who_asks_and_goes_away(server, path):
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(b'{"ask": "status"}\n')
    assert await asyncio.to_thread(ask, path, "status") == STATUS


async def test_one_who_says_nothing_is_sent_away(server, path, monkeypatch):
    monkeypatch.setattr(control, "ANSWER_TIMEOUT_S", 0.05)
    assert await exchange(path, b"") == b""
    assert await exchange(path, b'{"ask": "sta') == b""
    monkeypatch.undo()
    assert await asyncio.to_thread(ask, path, "status") == STATUS


async def test_a_silent_one_keeps_nobody_waiting(server, path):
    _, writer = await asyncio.open_unix_connection(path)
    assert await asyncio.to_thread(ask, path, "status") == STATUS
    writer.close()


async def test_owner_and_group_and_nobody_else(server, path):
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o750


async def test_what_a_killed_daemon_left_behind(tmp_path, path):
    os.mkdir(tmp_path / "run")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    with pytest.raises(ControlError, match="refused"):
        await asyncio.to_thread(ask, path, "status")
    server = ControlServer(path, {"status": lambda _: STATUS})
    await server.start()
    assert await asyncio.to_thread(ask, path, "status") == STATUS
    await server.close()


async def test_nothing_is_left_behind_by_a_clean_stop(tmp_path, path):
    server = ControlServer(path, {})
    await server.start()
    await server.close()
    assert not os.path.exists(path)
    await server.close()  # once more does no harm


async def test_a_file_that_is_not_a_socket_is_kept(tmp_path, path):
    os.mkdir(tmp_path / "run")
    with open(path, "w") as file:
        file.write("precious")
    with pytest.raises(ControlError, match="no control socket"):
        await ControlServer(path, {}).start()
    with open(path) as file:
        assert file.read() == "precious"


async def test_places_where_no_socket_can_be(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "control.sock", tmp_path / ("x" * 200)):
        with pytest.raises(ControlError) as caught:
            await ControlServer(str(place), {}).start()
        assert caught.value.hint


async def test_closing_what_never_started(path):
    await ControlServer(path, {}).close()


# --- asking -------------------------------------------------------------------------------------


def answering(path: str, answer: bytes) -> threading.Thread:
    """A server that is not ours: reads a line, says `answer`, hangs up."""
    listener = socket.socket(socket.AF_UNIX)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    listener.bind(path)
    listener.listen()

    def serve() -> None:
        with listener:
            peer, _ = listener.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


def test_nobody_there(path):
    with pytest.raises(ControlError, match="no answer") as caught:
        ask(path, "status")
    assert "is hearth running" in caught.value.hint


@pytest.mark.parametrize("answer", [b"", b"not JSON\n", b"\xff\n", b'{"half": '])
def test_answers_that_are_none(path, answer):
    thread = answering(path, answer)
    with pytest.raises(ControlError, match="no answer"):
        ask(path, "status")
    thread.join(5)


@pytest.mark.parametrize("answer", [b"[]\n", b"5\n", b'{"error": "busy"}\n'])
def test_answers_that_refuse(path, answer):
    thread = answering(path, answer)
    with pytest.raises(ControlError, match="refused"):
        ask(path, "status")
    thread.join(5)


def test_a_daemon_that_hangs(path, monkeypatch):
    monkeypatch.setattr(control, "ANSWER_TIMEOUT_S", 0.05)
    os.makedirs(os.path.dirname(path))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with pytest.raises(ControlError, match="timed out"):
            ask(path, "status")


async def test_an_answer_that_breaks_is_not_the_end(tmp_path, path):
    """A bug in whoever collects the facts: that question fails, the next one is answered."""

    def broken(_request) -> dict[str, object]:
        raise RuntimeError("a bug")

    server = ControlServer(path, {"broken": broken, "status": lambda _: STATUS})
    await server.start()
    heard = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    with pytest.raises(ControlError, match="no answer"):
        await asyncio.to_thread(ask, path, "broken")
    assert await asyncio.to_thread(ask, path, "status") == STATUS
    assert "a bug" in str(heard[0]["exception"])
    await server.close()
