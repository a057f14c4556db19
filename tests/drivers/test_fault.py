"""A fault is told once when it comes and once when it is over."""

from drivers.fault import QUIET_S, Fault


def test_raised_once_and_over_after_a_quiet_time():
    fault = Fault()
    assert fault.good(0) is False
    assert fault.bad(1) is True
    assert fault.bad(2) is False
    assert fault.good(2 + QUIET_S - 0.1) is False
    assert fault.count == 2
    assert fault.good(2 + QUIET_S) is True
    assert fault.good(3 + QUIET_S) is False
    assert fault.bad(100) is True
    assert fault.count == 1
