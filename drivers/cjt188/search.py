"""Which meters are on a line: by their address request, and by masks where several answer at once.

    AA AA AA AA AA AA AA     all of them: silence is nobody, a clean answer one meter
    00 AA AA AA AA AA AA     if it was garbled, each value of the lowest byte: 100 questions
    01 AA AA AA AA AA AA
    01 00 AA AA AA AA AA     if that was garbled too, each value of the next

A question that nobody answers costs a time-out, so two meters that differ in their lowest byte are
found in about a minute. The lowest byte comes first, because meters that were bought together
differ there, and because that is the one way DL/T 645 knows, whose frames these are.

What no search of this kind can find: two meters of one address; a meter whose answer is drowned by
a louder one's, which then looks like a single clean answer; and behind a collision, a meter that
understands its own address and seven AA but no masks. A collision behind which fewer than two
meters are found is reported as unresolved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.bus.ear import hear_out
from drivers.cjt188 import wire

if TYPE_CHECKING:
    from collections.abc import Generator

    from drivers.bus.bus import Bus

# A garbled answer may be noise, which is not worth a hundred questions: it is asked once more.
_ASKED = 2

# A line that is never clean would be divided for ever. Eight meters that differ in their highest
# byte alone take 720 questions.
MOST_QUESTIONS = 10_000

# Answers to a mask come from several meters, each when it is awake; the longest is FE FE FE FE, 13
# bytes and DI SER, and there may be a few.
_LONGEST_BYTES = 100


class Search:
    """The conversation: what to send, what was heard. Pure, and knows no time.

    search = Search("low-first")
    while search.question:
        search.heard(...)            # every byte that came after search.question was sent
    search.found, search.unresolved
    """

    def __init__(self, order: wire.DiOrder) -> None:
        self.found: dict[bytes, int] = {}  # wire address, and the type of the meter
        self.unresolved: list[bytes] = []  # masks behind which more was heard than was found
        self._order = order
        self._questions = 0
        self._steps = self._divide(wire.EVERY_METER)
        self.question: wire.Frame | None = next(self._steps)

    def heard(self, data: bytes) -> None:
        """Everything that came in answer to the question, as it came; nothing if nothing did."""
        try:
            self.question = self._steps.send(data)
        except StopIteration:
            self.question = None

    def _divide(self, mask: bytes) -> Generator[wire.Frame, bytes, None]:
        """Find everybody behind a mask."""
        request = wire.address_request(self._order, mask)
        for _ in range(_ASKED):
            data = yield request
            self._questions += 1
            if not self._take(request, data):
                return
        for narrower in wire.narrower(mask):
            if self._questions >= MOST_QUESTIONS:
                self.unresolved.append(mask)
                return
            yield from self._divide(narrower)
        # It takes two to collide.
        if sum(wire.matches(mask, address) for address in self.found) < 2:
            self.unresolved.append(mask)

    def _take(self, request: wire.Frame, data: bytes) -> bool:
        """Keep the meters that answered; whether there is more in what came than their answers."""
        frames, rest = wire.split_frames(data)
        answers = [frame for frame in frames if _answers(request, frame)]
        self.found |= {frame.address: frame.meter_type for frame in answers}
        return bool(rest)


async def search(bus: Bus, order: wire.DiOrder, timeout_s: float) -> Search:
    """Run a search on a bus; `timeout_s` is what a meter needs to begin its answer.

    Raises:
        LinkLost: the port is gone.
    """
    conversation = Search(order)
    while (request := conversation.question) is not None:
        sender = ("cjt188 search", request.address)
        encoded = wire.encode(request)
        conversation.heard(
            await hear_out(bus, encoded, timeout_s, sender=sender, longest=_LONGEST_BYTES)
        )
    return conversation


def _answers(request: wire.Frame, frame: wire.Frame) -> bool:
    """Whether a frame is a meter's answer to this request, and not an echo or a late word."""
    return (
        frame.control == request.control | wire.ANSWER_BIT
        and frame.data[:2] == request.data[:2]
        and wire.matches(request.address, frame.address)
        and not wire.is_mask(frame.address)
    )
