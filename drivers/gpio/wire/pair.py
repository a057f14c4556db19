"""A supervised contact: a change-over switch on two inputs, one of which is always closed.

At rest the normally closed side (NC) is closed and the normally open side (NO) open; a press turns
both over. Both lines are read so that active means pressed, and so they must agree. A wire that is
cut or shorted makes them disagree; and from two lines that disagree nobody can tell whether a wire
broke or a person presses with a wire that broke long ago. Doubt is decided for a call:

- Both turn over: a press, told when the second does.
- One turns over, and the other does not follow within twice the debounce time: a press too. One
  that turned back within that time was noise.
- The other follows late, but within `wire_ns`: the same press, by a slow thumb.
- They disagree for `wire_ns`, or a press ended in which only one took part: the wire is broken.
  From then on every press of either is told at once.
- Only a press in which both take part, from rest and within `wire_ns`, shows that the wire is whole
  again. A quiet pair does not show it: a cut NO wire looks like a button at rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.gpio.wire.edge import Change

if TYPE_CHECKING:
    from drivers.gpio.wire.contact import Contact
    from drivers.gpio.wire.edge import Edge


class Pair:
    """The state of one change-over contact; to its user it is like a Contact."""

    def __init__(
        self, sides: dict[int, Contact], *, now_ns: int, debounce_ns: int, wire_ns: int
    ) -> None:
        """Args: sides: the two contacts by the offsets of their lines; both active if pressed."""
        self._sides = sides
        self._debounce_ns = debounce_ns
        self._wire_ns = wire_ns
        self._broken = False
        self._told = False  # a press that still goes on
        self._joined = False  # both took part in it
        self._was_lost = self._was_stuck = False
        self._began_ns = now_ns if self.pressed else None  # when the first side left its rest
        self._due_ns: int | None = None  # when one side alone becomes a press
        self._apart_ns = now_ns if self._apart else None  # since when they disagree

    @property
    def pressed(self) -> bool:
        """Whether a press goes on, by either side."""
        return any(side.pressed for side in self._sides.values())

    @property
    def doubtful(self) -> bool:
        """Whether what is seen now may not be all that happened."""
        lost = any(side.lost for side in self._sides.values())
        return lost or self._broken or (self._told and not self._joined)

    @property
    def deadline_ns(self) -> int | None:
        """When `tick` has something to find out; None while there is nothing."""
        moments = [side.deadline_ns for side in self._sides.values()] + [self._due_ns]
        if self._apart_ns is not None and not self._broken:
            moments.append(self._apart_ns + self._wire_ns)
        return min((moment for moment in moments if moment is not None), default=None)

    def edge(self, edge: Edge) -> list[Change]:
        """One edge of either line, in the order of the kernel."""
        changes = self.tick(edge.at_ns)
        side = self._sides[edge.offset]
        again = side.pressed
        for change in side.edge(edge):
            if change is Change.PRESSED:
                changes += self._turned(side, edge.at_ns, again=again)
        return changes + self._compare(edge.at_ns)

    def tick(self, now_ns: int) -> list[Change]:
        """Time passed without an edge."""
        for side in self._sides.values():
            side.tick(now_ns)
        changes = self._compare(now_ns)
        if self._due_ns is not None and now_ns >= self._due_ns:
            changes += self._tell()
        if self._apart_ns is not None and now_ns - self._apart_ns >= self._wire_ns:
            changes += self._break()
        return changes

    @property
    def _apart(self) -> bool:
        one, other = self._sides.values()
        return one.pressed is not other.pressed

    def _turned(self, side: Contact, at_ns: int, *, again: bool) -> list[Change]:
        """A side was pressed; `again` if it had been already, and its release went missing."""
        changes: list[Change] = []
        if self._began_ns is None:
            self._began_ns = at_ns
        elif not self._apart and not self._joined and at_ns - self._began_ns < self._wire_ns:
            self._joined = True
            changes += self._mend()
        if self._told and not self._broken and not again:
            return changes
        if self._joined or self._broken or side.lost:
            return changes + self._tell()
        self._due_ns = self._due_ns or at_ns + 2 * self._debounce_ns
        return changes

    def _tell(self) -> list[Change]:
        self._due_ns = None
        self._told = True
        return [Change.PRESSED]

    def _break(self) -> list[Change]:
        if self._broken:
            return []
        self._broken = True
        return [Change.BROKEN]

    def _mend(self) -> list[Change]:
        if not self._broken:
            return []
        self._broken = False
        return [Change.WHOLE]

    def _compare(self, at_ns: int) -> list[Change]:
        """What follows from how both sides are now."""
        sides = self._sides.values()
        changes: list[Change] = []
        if not self._apart:
            self._apart_ns = None
        elif self._apart_ns is None:
            self._apart_ns = at_ns
        lost = any(side.lost for side in sides)
        if not self.pressed and self._began_ns is not None:
            changes += self._end(lost=lost or self._was_lost)
        if lost is not self._was_lost:
            self._was_lost = lost
            changes.append(Change.LOST if lost else Change.INTACT)
        stuck = all(side.stuck for side in sides)
        if stuck is not self._was_stuck:
            self._was_stuck = stuck
            changes.append(Change.STUCK if stuck else Change.UNSTUCK)
        return changes

    def _end(self, *, lost: bool) -> list[Change]:
        """Both are at rest again."""
        alone = self._told and not self._joined and not lost
        changes = self._break() if alone else []
        self._began_ns = self._due_ns = None
        self._told = self._joined = False
        return [*changes, Change.RELEASED]
