"""Which meters are on a line: by who they are, and by primary address.

By who they are, with masks where several answer at once:

    select FFFFFFFF          everybody: silence is nobody, E5 somebody
    ask FD                   a clean telegram is one meter
    select FFFFFFF0          if it was garbled, each value of the last digit: 10 questions
    select FFFFFF00          if that was garbled too, each value of the one before

An E5 looks the same from one meter and from ten at once, so it is the telegram that tells. The last
digit comes first, because meters that were bought together differ there.

What no search of this kind can find: two meters of one number, whatever their maker; a number with
a hexadecimal digit behind a collision; a meter whose telegram is drowned by a louder one's, which
then looks like a single clean one. A mask behind which more was heard than was found is reported
as unresolved.

By primary address, each of 0 to 250 is asked whether it is there (SND_NKE) and then who it is. Two
meters of one address, as all are that left the factory with 0, are reported as unresolved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.bus.ear import hear_out
from drivers.mbus import wire

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from drivers.bus.bus import Bus

    Steps = Generator[wire.Frame, bytes, None]

# A garbled answer may be noise, which is not worth ten questions: it is asked once more.
_ASKED = 2

# A line that is never clean would be divided for ever. Eight meters that differ in their highest
# digit alone take about 170 questions, a hundred meters some thousands.
MOST_QUESTIONS = 10_000

# E5 from several meters, each when it is awake.
_LONGEST_ACK_BYTES = 16
_EVERY_ADDRESS = range(wire.MOST_ADDRESS + 1)


class Search:
    """The conversation: what to send, what was heard. Pure, and knows no time.

    search = Search()
    while search.question:
        search.heard(...)            # every byte that came after search.question was sent
    search.found, search.unresolved
    """

    def __init__(self) -> None:
        self.found: dict[wire.Identification, int] = {}  # who, and the address in its telegram
        self.unresolved: list[wire.Identification] = []  # masks
        self.questions = 0  # asked so far
        self._steps = self._divide(wire.EVERY_METER)
        self.question = _next(self._steps, None)

    def heard(self, data: bytes) -> None:
        """Everything that came in answer to the question, as it came; nothing if nothing did."""
        self.questions += 1
        self.question = _next(self._steps, data)

    def _divide(self, mask: wire.Identification) -> Steps:
        """Find everybody behind a mask."""
        select = wire.select(mask)
        heard = yield select
        if not _without_echo(select, heard):
            return
        for _ in range(_ASKED):
            ask = wire.ask(wire.SELECTED, fcb=True)
            heard = yield ask
            if self._take(ask, heard):
                return
        for narrower in wire.narrower(mask):
            if self.questions >= MOST_QUESTIONS:
                self.unresolved.append(mask)
                return
            yield from self._divide(narrower)
        # It takes two to collide.
        if sum(mask.means(meter) for meter in self.found) < 2:
            self.unresolved.append(mask)

    def _take(self, request: wire.Frame, heard: bytes) -> bool:
        """Keep the meters that answered; whether what came is theirs and nothing else."""
        met, is_clean = _who(request, heard)
        self.found |= met
        return is_clean and bool(met)


class PrimarySearch:
    """The same for primary addresses."""

    def __init__(self, addresses: Iterable[int] = _EVERY_ADDRESS) -> None:
        self.found: dict[int, wire.Identification] = {}
        self.unresolved: list[int] = []  # where somebody is, and it is not known who
        self.questions = 0
        self._steps = self._each(addresses)
        self.question = _next(self._steps, None)

    def heard(self, data: bytes) -> None:
        """Everything that came in answer to the question, as it came; nothing if nothing did."""
        self.questions += 1
        self.question = _next(self._steps, data)

    def _each(self, addresses: Iterable[int]) -> Steps:
        for address in addresses:
            begin = wire.begin(address)
            heard = yield begin
            if _without_echo(begin, heard):
                yield from self._ask(address)

    def _ask(self, address: int) -> Steps:
        ask = wire.ask(address, fcb=True)
        for _ in range(_ASKED):
            met, is_clean = _who(ask, (yield ask))
            here = [meter for meter, said in met.items() if said == address]
            if is_clean and len(here) == 1:
                self.found[address] = here[0]
                return
        self.unresolved.append(address)


async def search(bus: Bus, timeout_s: float) -> Search:
    """Run a search by masks on a bus; `timeout_s` is what a meter needs to begin its answer.

    Raises:
        LinkLost: the port is gone.
    """
    conversation = Search()
    await _converse(bus, conversation, timeout_s)
    return conversation


async def search_primary(
    bus: Bus, timeout_s: float, addresses: Iterable[int] = _EVERY_ADDRESS
) -> PrimarySearch:
    """Run a search by primary addresses on a bus.

    Raises:
        LinkLost: the port is gone.
    """
    conversation = PrimarySearch(addresses)
    await _converse(bus, conversation, timeout_s)
    return conversation


async def _converse(bus: Bus, conversation: Search | PrimarySearch, timeout_s: float) -> None:
    while (request := conversation.question) is not None:
        # Each is a sender of its own: nobody is late who was heard out.
        sender = ("mbus search", conversation.questions)
        is_data = request.control & ~wire.FCB == wire.REQ_UD2
        longest = wire.LONGEST_FRAME if is_data else _LONGEST_ACK_BYTES
        encoded = wire.encode(request)
        conversation.heard(await hear_out(bus, encoded, timeout_s, sender=sender, longest=longest))


def _next(steps: Steps, heard: bytes | None) -> wire.Frame | None:
    try:
        return next(steps) if heard is None else steps.send(heard)
    except StopIteration:
        return None


def _without_echo(request: wire.Frame, heard: bytes) -> bytes:
    """What came, without what an adapter that hears itself has added."""
    return heard.removeprefix(wire.encode(request))


def _who(request: wire.Frame, heard: bytes) -> tuple[dict[wire.Identification, int], bool]:
    """Who answered and from which address, and whether nothing else came."""
    frames, rest = wire.split_frames(_without_echo(request, heard))
    met: dict[wire.Identification, int] = {}
    for frame in frames:
        who = wire.who_says(frame)
        if who:
            met[who] = frame.address
    return met, not rest and len(frames) == len(met)
