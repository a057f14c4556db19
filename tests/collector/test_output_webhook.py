"""One alarm to a webhook, against servers that do what servers do."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from authority import LOOPBACK, Authority
from receiver import (
    SECRET,
    Receiver,
    answer,
    drip,
    garbage,
    gigabyte,
    gigabyte_of_header,
    hang,
    reset,
)

from collector.outputs import webhook as module
from collector.outputs.alarm import Alarm
from collector.outputs.port import TOLD, Outcome
from collector.outputs.webhook import Webhook, check_url, pause_s_of
from gateway.errors import SettingsError

ALARM = Alarm("00ff/urgent/7", "gw-1", b'{"id":"00ff/urgent/7","kind":"call"}')


async def tell(receiver, url="", tls=None, secrets=(SECRET,)):
    output = Webhook(url or receiver.url, secrets, tls)
    try:
        return await output.tell(ALARM)
    finally:
        await output.close()


async def verdict_on(behaviour):
    async with Receiver(lambda request: behaviour) as receiver:
        return await tell(receiver)


async def test_an_alarm_arrives_signed():
    async with Receiver() as receiver:
        assert await tell(receiver) == TOLD
        (request,) = receiver.requests
    assert request.line == "POST /alarms HTTP/1.1"
    assert request.body == ALARM.json
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == ALARM.id
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 60
    assert request.is_signed()
    assert not request.is_signed(bytes(32))


async def test_while_a_secret_is_replaced_both_sign():
    async with Receiver() as receiver:
        await tell(receiver, secrets=(bytes(24), SECRET))
        (request,) = receiver.requests
    assert request.is_signed(bytes(24))
    assert request.is_signed(SECRET)


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "204 No Content"])
async def test_two_hundreds_are_told(status):
    assert await verdict_on(answer(status)) == TOLD


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
async def test_what_refuses_the_alarm(status):
    verdict = await verdict_on(answer(f"{status} No"))
    assert (verdict.outcome, str(status) in verdict.reason) == (Outcome.REFUSED, True)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_what_fails_with_every_alarm(status):
    verdict = await verdict_on(answer(f"{status} No", "Retry-After: 7"))
    assert (verdict.outcome, verdict.pause_s) == (Outcome.FAILED, 7.0)


async def test_redirects_are_not_followed():
    async with Receiver() as elsewhere:
        verdict = await verdict_on(answer("307 Moved", f"Location: {elsewhere.url}"))
        assert elsewhere.requests == []
    assert verdict.outcome is Outcome.FAILED
    assert "redirects are not followed" in verdict.reason


@pytest.mark.parametrize("behaviour", [hang, drip])
async def test_who_takes_forever_has_its_time(behaviour, monkeypatch):
    monkeypatch.setattr(module, "TOTAL_TIMEOUT_S", 0.3)
    started = time.monotonic()
    verdict = await verdict_on(behaviour)
    assert 0.2 < time.monotonic() - started < 10
    assert verdict.outcome is Outcome.FAILED


async def test_who_never_takes_the_connection_has_its_time(monkeypatch):
    """A queue of connections that is full: the kernel answers nobody."""
    monkeypatch.setattr(module, "CONNECT_TIMEOUT_S", 0.3)
    with socket.socket() as deaf, contextlib.ExitStack() as callers:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):
            caller = callers.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(deaf.getsockname())
        started = time.monotonic()
        verdict = await tell(None, f"http://127.0.0.1:{deaf.getsockname()[1]}/")
    assert verdict.outcome is Outcome.FAILED
    assert 0.2 < time.monotonic() - started < 4.5


@pytest.mark.parametrize("behaviour", [reset, garbage, gigabyte_of_header])
async def test_what_is_no_answer_fails(behaviour):
    started = time.monotonic()
    verdict = await verdict_on(behaviour)
    assert verdict.outcome is Outcome.FAILED
    assert verdict.reason.startswith("127.0.0.1: ")
    assert len(verdict.reason) < 300
    assert time.monotonic() - started < 10


async def test_a_gigabyte_of_answer_is_not_read():
    started = time.monotonic()
    assert await verdict_on(gigabyte) == TOLD
    assert time.monotonic() - started < 2


async def test_nobody_listens():
    async with Receiver() as receiver:
        url = receiver.url
    verdict = await tell(None, url)
    assert verdict.outcome is Outcome.FAILED


async def test_tls_and_who_is_trusted(tmp_path):
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*ours.issue("server", LOOPBACK))
    async with Receiver(tls=server) as receiver:
        assert await tell(receiver, tls=ssl.create_default_context(cafile=ours.ca)) == TOLD
        for context in (ssl.create_default_context(cafile=theirs.ca), None):
            verdict = await tell(receiver, tls=context)
            assert verdict.outcome is Outcome.FAILED
            assert "certificate" in verdict.reason.lower()
        assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("told", "least", "most"),
    [
        ("0", 0, 0),
        ("120", 120, 120),
        (" 5 ", 5, 5),
        ("", 0, 0),
        ("-1", 0, 0),
        ("1e9", 0, 0),
        ("soon", 0, 0),
        ("٣", 0, 0),
        ("9" * 5000, 999_999_999, 999_999_999),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        # Reckoned when tests are collected, and told when it is this one's turn.
        (format_datetime(datetime.now(UTC) + timedelta(hours=9), usegmt=True), 3600, 32_400),
    ],
)
def test_retry_after(told, least, most):
    assert least <= pause_s_of(told) <= most


@pytest.mark.parametrize(
    ("url", "plaintext"),
    [
        ("https://example.org/x", False),
        ("http://127.0.0.1:8/x", False),
        ("http://[::1]/x", False),
        ("http://localhost/", False),
        ("http://example.org/", True),
    ],
)
def test_where_alarms_may_go(url, plaintext):
    check_url(url, allow_plaintext=plaintext)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://x/",
        "https://",
        "x",
        "https://u:p@x/",
        "http://[x/",
        "https://x:y/",
    ],
)
def test_where_alarms_must_not_go(url):
    with pytest.raises(SettingsError) as caught:
        check_url(url, allow_plaintext=False)
    assert "u:p" not in str(caught.value)
