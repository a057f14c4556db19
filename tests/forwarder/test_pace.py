"""The window against simulated links: a queue with a rate and a round trip."""

import heapq

import pytest

from gateway.forwarding.pace import QUEUE_LIMIT_S, Flight, Pace

MAX_BATCH = 16 * 1024
HEAD = 128


def simulate(rate: float, round_trip_s: float, seconds: float, later_s: float | None = None):
    """Send for `seconds` over a link of `rate` bytes/s; bytes/s achieved, and the waits that a call
    would have had behind what was handed over, over the second half. From then on, the round trip
    is `later_s`, if given, and the bytes are of the last quarter.
    """
    pace = Pace(MAX_BATCH, 16)
    now = link_free_at = 0.0
    flying: list[tuple[float, float, Flight]] = []
    done, waits = 0, []
    counted_from = 0.0 if later_s is None else seconds * 3 / 4
    while now < seconds:
        while pace.admits(size := pace.batch_bytes + HEAD):
            flight = pace.sent(size)
            link_free_at = max(link_free_at, now) + size / rate
            way_s = round_trip_s if later_s is None or now < seconds / 2 else later_s
            heapq.heappush(flying, (link_free_at + way_s, now, flight))
            if now > seconds / 2:
                waits.append(link_free_at - now)
        now, sent_at, flight = heapq.heappop(flying)
        flight.landed(sent_at, now)
        done += flight.size if now >= counted_from else 0
    return done / (now - counted_from), max(waits)


@pytest.mark.parametrize(
    ("rate", "round_trip_s"),
    [(8_000, 0.6), (30_000, 0.1), (250_000, 0.05), (1_000_000, 0.6), (50_000_000, 0.001)],
    ids=["GPRS", "EDGE", "3G", "satellite", "loopback"],
)
def test_the_link_is_busy_and_a_call_does_not_wait_long(rate, round_trip_s):
    achieved, wait_s = simulate(rate, round_trip_s, seconds=120)
    possible = min(rate, 16 * MAX_BATCH / round_trip_s)
    assert achieved > 0.5 * possible
    # What stands on the link: the wait that is allowed, one batch above it, and the first batch's
    # share of the shortest round trip.
    assert wait_s < 2 * QUEUE_LIMIT_S + 2 * 4096 / rate


@pytest.mark.parametrize(
    ("rate", "round_trip_s", "later_s"),
    [(1_000_000, 0.001, 2.0), (250_000, 0.05, 1.0), (8_000, 0.6, 2.0)],
    ids=["loopback to satellite", "3G", "GPRS"],
)
def test_a_way_that_becomes_longer_is_filled_again(rate, round_trip_s, later_s):
    """Half a minute after it became longer, nearly as if it had always been so."""
    achieved, wait_s = simulate(rate, round_trip_s, seconds=120, later_s=later_s)
    always, _ = simulate(rate, later_s, seconds=120)
    assert achieved > 0.8 * always
    assert wait_s < 2 * QUEUE_LIMIT_S + 2 * 4096 / rate


def test_a_lost_segment_now_and_then_is_no_longer_way():
    """Two batches in three are late; what stood in the queue is measured against the quick ones."""
    pace = Pace(MAX_BATCH, 16)
    now = 0.0
    for round_trip_s in [0.05] * 20 + [0.05, 1.0, 1.0] * 200:
        flight = pace.sent(1024)
        now += round_trip_s
        flight.landed(now - round_trip_s, now)
    assert pace.window_bytes < 4096


def test_what_went_together_tells_nothing_of_the_way():
    pace = Pace(MAX_BATCH, 16)
    pace.sent(1024).landed(0.0, 0.05)
    flying = pace.sent(1024)
    for n in range(1, 25):
        following = pace.sent(1024)
        flying.landed(n, n + 0.9)
        flying = following
    assert pace.window_bytes < 4096


def test_one_batch_may_always_go():
    pace = Pace(MAX_BATCH, 1)
    assert pace.admits(10**6)
    pace.sent(10**6)
    assert not pace.admits(1)


def test_a_small_limit_is_kept():
    pace = Pace(500, 16)
    for n in range(1000):
        assert pace.batch_bytes <= 500
        pace.sent(500).landed(n, n + 0.01)
    assert pace.window_bytes == 500 * 16


def test_a_link_that_becomes_slower_for_good_is_learnt():
    pace = Pace(MAX_BATCH, 16)
    now = 0.0
    for round_trip_s in [0.05] * 50 + [1.0] * 100:
        assert pace.batch_bytes >= 1024
        flight = pace.sent(1024)
        now += round_trip_s
        flight.landed(now - round_trip_s, now)
    assert pace.window_bytes > 4096
