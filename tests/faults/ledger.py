"""What gateways confirmed and what a database holds, each read without the code under test."""

import contextlib
import json
import sqlite3
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import cbor2

_DETAIL = 8  # the key of `detail` in an event's CBOR; config/event.cddl


class Place(NamedTuple):
    """The name of an event."""

    journal: str
    lane: str
    seq: int


class Fact(NamedTuple):
    """What an event says. The token is drawn once for each event."""

    kind: str
    device: str
    value: float
    token: str


class Confirmed(NamedTuple):
    """An event whose receipt was awaited."""

    at_s: float  # CLOCK_MONOTONIC, which all processes share
    place: Place
    fact: Fact


class Refused(NamedTuple):
    """Bytes that were not stored as events, by reason."""

    reason: str
    payload: bytes
    times: int


def read_confirmed(path: Path) -> list[Confirmed]:
    """The lines of a gateway; one that kill -9 cut short was not confirmed."""
    confirmed = []
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                at_s, journal, lane, seq, *fact = json.loads(line)
                confirmed.append(Confirmed(at_s, Place(journal, lane, seq), Fact(*fact)))
    return confirmed


def token_in(payload: bytes) -> str:
    """The token of an event in its CBOR; empty if there is none."""
    try:
        return str(cbor2.loads(payload)[_DETAIL]["token"])
    except (cbor2.CBORError, KeyError, TypeError, IndexError, ValueError, RecursionError):
        return ""


class Ledger:
    """The database of a collector's URL, by plain SQL."""

    def __init__(self, url: str) -> None:
        self._url = url

    def facts(self) -> list[tuple[Place, Fact]]:
        """Every stored event."""
        rows = self._ask("SELECT journal, lane, seq, kind, device, body FROM events")
        return [(_place(row[:3]), _fact(*row[3:])) for row in rows]

    def has(self, it: Confirmed) -> bool:
        """Whether an event is stored; False, too, while the database cannot be asked."""
        question = "SELECT body FROM events WHERE journal = ? AND lane = ? AND seq = ?"
        try:
            found = self._ask(question, *it.place)
        except (sqlite3.Error, OSError):
            return False
        return any(_json(body).get("detail", {}).get("token") == it.fact.token for (body,) in found)

    def keeps(self, it: Confirmed) -> bool:
        """Whether an event is kept among the refused, because its name was taken."""
        return any(it.fact.token == token_in(kept.payload) for kept in self.refused())

    def count(self) -> int:
        """How many events are stored."""
        try:
            return self._ask("SELECT count(*) FROM events")[0][0]
        except (sqlite3.Error, OSError):
            return 0

    def refused(self) -> list[Refused]:
        """What was refused and kept."""
        rows = self._ask("SELECT reason, payload, times FROM refused")
        return [Refused(reason, bytes(payload), times) for reason, payload, times in rows]

    def gaps(self) -> list[tuple[str, str, int, int]]:
        """Journal, lane, first and last of what gap events name, from the events themselves."""
        rows = self._ask("SELECT journal, body FROM events WHERE kind = 'gap'")
        details = [(str(journal), _json(body)["detail"]) for journal, body in rows]
        return [(journal, it["lane"], it["first"], it["last"]) for journal, it in details]

    def _ask(self, question: str, *values: object) -> list[tuple]:
        if self._url.startswith("sqlite"):
            return self._ask_sqlite(question, values)
        return self._ask_postgresql(question.replace("?", "%s"), values)

    def _ask_sqlite(self, question: str, values: tuple) -> list[tuple]:
        base = sqlite3.connect(f"file:{urlsplit(self._url).path}?mode=ro", uri=True, timeout=5)
        try:
            return base.execute(question, values).fetchall()
        finally:
            base.close()

    def _ask_postgresql(self, question: str, values: tuple) -> list[tuple]:
        import psycopg

        try:
            with psycopg.connect(self._url, connect_timeout=2) as base:
                return base.execute(question, values).fetchall()
        except psycopg.Error as error:
            raise OSError(str(error)) from error


def _place(row: tuple) -> Place:
    journal, lane, seq = row
    return Place(str(journal), str(lane), int(seq))


def _json(body: object) -> dict:
    return json.loads(body) if isinstance(body, str) else body


def _fact(kind: str, device: str, body: object) -> Fact:
    it = _json(body)
    values = [record.get("v") for record in it.get("measurements", ())]
    token = it.get("detail", {}).get("token", "")
    return Fact(str(kind), str(device), values[0] if values else None, token)


def now_s() -> float:
    """The clock of `Confirmed.at_s`."""
    return time.monotonic()
