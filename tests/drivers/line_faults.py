"""Faulty wires and faulty meters: tiny wrappers around a meter's `hear`."""

import random


class Faulty:
    """A meter whose speech is bent by `bend(pieces) -> pieces`; keeps what it heard."""

    def __init__(self, meter, bend=list):
        self.meter = meter
        self.bend = bend
        self.heard = []

    def hear(self, telegram):
        pieces = list(self.meter.hear(telegram))
        if pieces:
            self.heard.append(telegram)
        return self.bend(pieces) if pieces else []


def one_byte_at_a_time(pieces):
    return [(0.001, bytes([byte])) for _, data in pieces for byte in data]


def mute(pieces):
    return []


def late(delay_s):
    return lambda pieces: [(delay_s, data) for _, data in pieces]


def noise_before(seed):
    rng = random.Random(seed)
    return lambda pieces: [(0.0, rng.randbytes(rng.randrange(1, 12)) + data) for _, data in pieces]


def one_bit_flipped(seed):
    rng = random.Random(seed)

    def bend(pieces):
        garbled = []
        for pause_s, data in pieces:
            bit = rng.randrange(32, 8 * len(data))  # not within the preamble of CJ/T 188
            body = bytearray(data)
            body[bit // 8] ^= 1 << bit % 8
            garbled.append((pause_s, bytes(body)))
        return garbled

    return bend


def cut_short(pieces):
    return [(pause_s, data[:-3]) for pause_s, data in pieces]


class Echoing(Faulty):
    """An adapter that hears itself: what was sent comes back before the answer."""

    def hear(self, telegram):
        return [(0.0, telegram), *self.meter.hear(telegram)]
