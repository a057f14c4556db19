"""Hypothesis strategies for what goes over the wire, valid and wild."""

from __future__ import annotations

from enum import IntEnum

from hypothesis import strategies as st

from gateway.codec import MAX_BATCH_EVENTS, MAX_SEQ
from gateway.commands.wire import Command, Outcome, Reply
from gateway.model import (
    Ack,
    Batch,
    Event,
    Gap,
    Kind,
    Lane,
    Measurement,
    Stamp,
    TimeQuality,
)

MS_LIMIT = 2**48

texts = st.text(min_size=1, max_size=12)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.booleans() | numbers | texts
seqs = st.integers(1, MAX_SEQ)
lanes = st.sampled_from(Lane)
stamps = st.builds(
    Stamp,
    boot=st.binary(min_size=8, max_size=8),
    uptime_ms=st.integers(-MS_LIMIT, MS_LIMIT),
    wall_ms=st.integers(-MS_LIMIT, MS_LIMIT),
    quality=st.sampled_from(TimeQuality),
)
measurements = st.builds(Measurement, name=texts, value=scalars, unit=st.just("") | texts)
events = st.builds(
    Event,
    kind=st.sampled_from(Kind),
    device=texts,
    stamp=stamps,
    measurements=st.lists(measurements, max_size=4).map(tuple),
    labels=st.dictionaries(texts, texts, max_size=4),
    detail=st.dictionaries(texts, scalars, max_size=4),
)
gaps = st.builds(
    lambda lane, ends, reason: Gap(lane, min(ends), max(ends), reason),
    lanes,
    st.tuples(seqs, seqs),
    texts,
)
acks = st.builds(
    lambda journal, lane, ends: Ack(journal, lane, min(ends), max(ends)),
    st.binary(min_size=16, max_size=16),
    lanes,
    st.tuples(seqs, seqs),
)

ids = st.binary(min_size=16, max_size=16)
words = st.from_regex(r"[a-z][a-z0-9_]{0,9}(\.[a-z][a-z0-9_]{0,9}){0,3}", fullmatch=True)
instants = st.integers(0, MS_LIMIT)
rows = st.lists(st.dictionaries(texts, scalars, max_size=4), max_size=4)
commands = st.builds(
    Command,
    gateway=texts,
    id=ids,
    name=words,
    issued_ms=instants,
    expires_ms=instants,
    who=texts,
    arguments=st.dictionaries(texts, scalars | rows, max_size=4),
)
replies = st.builds(
    Reply,
    id=ids,
    outcome=st.sampled_from(Outcome),
    reason=st.just("") | texts,
    result=st.dictionaries(texts, scalars, max_size=4),
)


def batches(payloads: st.SearchStrategy[bytes], max_size: int = 40) -> st.SearchStrategy[Batch]:
    """Batches of encoded events."""
    return st.builds(
        Batch,
        gateway=texts,
        journal=st.binary(min_size=16, max_size=16),
        lane=lanes,
        first=st.integers(1, MAX_SEQ - MAX_BATCH_EVENTS),
        events=st.lists(payloads, min_size=1, max_size=max_size).map(tuple),
    )


class Odd(IntEnum):
    """An int that is not an int."""

    ONE = 1


class OddText(str):
    """A str that is not a str."""

    __slots__ = ()


# What a driver with a bug, or a device through it, may put where something else belongs.
wild = st.one_of(
    scalars,
    st.integers(),
    st.floats(),
    st.integers(2**48 - 2, 2**48 + 2),
    st.integers(2**63 - 2, 2**64 + 2),
    st.text(st.characters(codec=None), max_size=4),  # surrogates, too
    st.sampled_from([0, 255, 256, 257, 1025]).map("界".__mul__),
    st.binary(max_size=17),
    st.none(),
    st.lists(st.integers(), max_size=2),
    st.sampled_from([Odd.ONE, OddText("odd"), Kind.CALL, Lane.URGENT, TimeQuality.ANCHORED]),
)


@st.composite
def wild_events(draw: st.DrawFn) -> Event:
    """Valid events with a few fields gone wild, and containers of any size."""

    def either(valid: st.SearchStrategy[object]) -> object:
        return draw(wild if draw(st.integers(0, 9)) == 0 else valid)

    def either_map(values: st.SearchStrategy[object]) -> dict[object, object]:
        size = draw(st.sampled_from([0, 1, 2, 32, 33]))
        fill = {f"k{i}": "v" for i in range(size)}
        key = either(texts)
        return fill if size > 31 or isinstance(key, list) else {**fill, key: either(values)}

    def measurement() -> Measurement:
        return Measurement(either(texts), either(scalars), either(st.just("") | texts))

    copies = draw(st.sampled_from([0, 1, 2, 64, 65]))
    return Event(
        kind=either(st.sampled_from(Kind)),
        device=either(texts),
        stamp=Stamp(
            boot=either(st.binary(min_size=8, max_size=8)),
            uptime_ms=either(st.integers(-MS_LIMIT, MS_LIMIT)),
            wall_ms=either(st.integers(-MS_LIMIT, MS_LIMIT)),
            quality=either(st.sampled_from(TimeQuality)),
        ),
        measurements=(measurement(),) * copies,
        labels=either_map(texts),
        detail=either_map(scalars),
    )
