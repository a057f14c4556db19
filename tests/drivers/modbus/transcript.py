"""Exchanges with a device, as a text: tests/fixtures/modbus/*.txt.

    ## title of a scene
    * output_6 true               what the driver is told to write
    > 01 02 00 00 00 08 79 CC     what it asks
    < 01 02 01 20 A0 50           what the device says
    = voltage 230.2 V             a value it makes of it: name, value as in JSON, unit
    ! distance 0xffff means ...   a value it withholds, and why

A scene is one poll, or one write.
"""

import json
from dataclasses import dataclass, field


@dataclass
class Scene:
    title: str
    exchanges: list[tuple[bytes, bytes]] = field(default_factory=list)
    values: dict = field(default_factory=dict)
    withheld: dict = field(default_factory=dict)
    told: dict = field(default_factory=dict)

    @property
    def unit(self):
        return self.exchanges[0][0][0]


def read(text):
    scenes = []
    for line in filter(None, text.splitlines()):
        sign, _, rest = line.partition(" ")
        name, _, said = rest.partition(" ")
        if sign == "##":
            scenes.append(Scene(rest))
        elif sign == ">":
            scenes[-1].exchanges.append((bytes.fromhex(rest), b""))
        elif sign == "<":
            asked, _ = scenes[-1].exchanges[-1]
            scenes[-1].exchanges[-1] = (asked, bytes.fromhex(rest))
        elif sign == "=":
            value, end = json.JSONDecoder().raw_decode(said)
            scenes[-1].values[name] = (value, said[end:].strip())
        elif sign == "!":
            scenes[-1].withheld[name] = said
        elif sign == "*":
            scenes[-1].told[name] = json.loads(said)
        else:
            assert sign == "#", line
    return scenes


class TranscriptSlave:
    """Says what is written, in the order in which it is written, and nothing else."""

    def __init__(self, scene):
        self.left = list(scene.exchanges)
        self.unexpected = []

    def hear(self, telegram):
        if not self.left or telegram != self.left[0][0]:
            self.unexpected.append(telegram.hex(" "))
            return
        yield 0.0, self.left.pop(0)[1]
