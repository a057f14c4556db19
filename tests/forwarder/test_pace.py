"""The window against simulated links: a queue with a rate and a round trip."""

import heapq

import pytest

from gateway.pace import QUEUE_LIMIT_S, Pace

MAX_BATCH = 16 * 1024
HEAD = 128


def simulate(rate: float, round_trip_s: float, seconds: float):
    """Send for `seconds` over a link of `rate` bytes/s; bytes/s achieved, and the waits that a call
    would have had behind what was handed over, over the second half.
    """
    pace = Pace(MAX_BATCH, 16)
    now = link_free_at = 0.0
    flying: list[tuple[float, float, int]] = []
    done, waits = 0, []
    while now < seconds:
        while pace.admits(size := pace.batch_bytes + HEAD):
            pace.sent(size)
            link_free_at = max(link_free_at, now) + size / rate
            heapq.heappush(flying, (link_free_at + round_trip_s, now, size))
            if now > seconds / 2:
                waits.append(link_free_at - now)
        now, sent_at, size = heapq.heappop(flying)
        pace.landed(size, sent_at, now)
        done += size
    return done / now, max(waits)


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


def test_one_batch_may_always_go():
    pace = Pace(MAX_BATCH, 1)
    assert pace.admits(10**6)
    pace.sent(10**6)
    assert not pace.admits(1)


def test_a_small_limit_is_kept():
    pace = Pace(500, 16)
    for n in range(1000):
        assert pace.batch_bytes <= 500
        pace.sent(500)
        pace.landed(500, n, n + 0.01)
    assert pace.window_bytes == 500 * 16


def test_a_link_that_becomes_slower_for_good_is_learnt():
    pace = Pace(MAX_BATCH, 16)
    now = 0.0
    for round_trip_s in [0.05] * 50 + [1.0] * 100:
        assert pace.batch_bytes >= 1024
        pace.sent(1024)
        now += round_trip_s
        pace.landed(1024, now - round_trip_s, now)
    assert pace.window_bytes > 4096
