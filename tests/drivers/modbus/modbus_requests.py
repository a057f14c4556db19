"""Requests of every kind, and bytes cut up, for tests of the codec."""

from itertools import pairwise

from hypothesis import strategies as st

from drivers.modbus import wire

units = st.integers(0, 255)


def _requests(make, functions):
    def placed(function):
        return st.integers(1, wire.MOST[function]).flatmap(
            lambda count: st.builds(
                make,
                unit=units,
                function=st.just(function),
                address=st.integers(0, 0x10000 - count),
                count=st.just(count),
            )
        )

    return st.sampled_from(functions).flatmap(placed)


reads = _requests(wire.ReadRequest, [1, 2, 3, 4])


def _write(unit, function, address, count):
    size = -(-count // 8) if function in wire.BIT_FUNCTIONS else 2 * count
    data = st.binary(min_size=size, max_size=size)
    if function == wire.WRITE_COIL:
        data = st.sampled_from([b"\0", b"\1"])
    return data.map(lambda made: wire.WriteRequest(unit, function, address, count, made))


writes = _requests(_write, [5, 6, 15, 16]).flatmap(lambda it: it)
requests = reads | writes


def data_of(request):
    """What is read, of the right length; nothing for a write."""
    if isinstance(request, wire.WriteRequest):
        return st.just(b"")
    bits = request.function in wire.BIT_FUNCTIONS
    size = -(-request.count // 8) if bits else 2 * request.count
    return st.binary(min_size=size, max_size=size)


def meaning(request, data):
    return wire.Values(data) if isinstance(request, wire.ReadRequest) else wire.Written()


cuts = st.lists(st.integers(0, 300), max_size=6)


def pieces(data, at):
    edges = sorted({0, len(data), *(c for c in at if c < len(data))})
    return [data[a:b] for a, b in pairwise(edges)]


def feed_all(answer, chunks):
    found = None
    for chunk in chunks:
        found = answer.feed(chunk) or found
    return found
