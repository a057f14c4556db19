"""Edges of one line in; presses, a stuck contact and lost edges out.

A button is a piece of bent metal: it bounces for some milliseconds when pressed and again when
released, and an old one chatters for as long as it is held. The kernel's debounce takes most of
that away, but not every chip driver does it the same, so it is done once more here:

- The first active edge after a quiet line is a press, reported at once. A person must never wait
  for a time-out.
- Until the line has been inactive and quiet for `debounce_ns`, everything else is the same press.
- A line that has not been quiet for `stuck_ns` since the press is stuck: pressed by a fallen
  cupboard, short-circuited, or chattering. That is a fault, not a call.
- A line that is active when watching starts is no press: nobody knows how old it is. If it stays
  so, it is stuck.
- The kernel numbers the edges of a line; a jump in the numbers is edges it had to throw away. When
  edges are lost, doubt is decided for a call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.gpio.wire.edge import Change

if TYPE_CHECKING:
    from drivers.gpio.wire.edge import Edge


class Contact:
    """The state of one contact. `stuck_ns` is None where it may rest in either position."""

    def __init__(
        self, *, active: bool, now_ns: int, debounce_ns: int, stuck_ns: int | None = None
    ) -> None:
        self.stuck = False
        self.lost = False  # edges, during this press
        self._debounce_ns = debounce_ns
        self._stuck_ns = stuck_ns
        self._active = active
        self._seqno = 0
        self._last_edge_ns = now_ns
        self._busy_since_ns = now_ns if active else None

    @property
    def pressed(self) -> bool:
        """Whether a press goes on, the bouncing of its end included."""
        return self._busy_since_ns is not None

    @property
    def doubtful(self) -> bool:
        """Whether what is seen now may not be all that happened."""
        return self.lost

    @property
    def deadline_ns(self) -> int | None:
        """When `tick` has something to find out; None while the line is quiet."""
        if self._busy_since_ns is None:
            return None
        moments = []
        if not self._active:
            moments.append(self._last_edge_ns + self._debounce_ns)
        if self._stuck_ns is not None and not self.stuck:
            moments.append(self._busy_since_ns + self._stuck_ns)
        return min(moments, default=None)

    def edge(self, edge: Edge) -> list[Change]:
        """One edge, in the order of the kernel."""
        changes = self.tick(edge.at_ns)
        lost = edge.seqno != self._seqno + 1
        if lost and not self.lost:
            self.lost = True
            changes.append(Change.LOST)
        if self._is_press(edge, lost=lost):
            self._busy_since_ns = edge.at_ns
            changes.append(Change.PRESSED)
        self._active = edge.active
        self._seqno = edge.seqno
        self._last_edge_ns = edge.at_ns
        return changes

    def tick(self, now_ns: int) -> list[Change]:
        """Time passed without an edge."""
        changes: list[Change] = []
        since_ns = self._busy_since_ns
        if since_ns is None:
            return changes
        if not self._active and now_ns - self._last_edge_ns >= self._debounce_ns:
            changes += self._settle()
        elif self._stuck_ns is not None and not self.stuck and now_ns - since_ns >= self._stuck_ns:
            self.stuck = True
            changes.append(Change.STUCK)
        return changes

    def _is_press(self, edge: Edge, *, lost: bool) -> bool:
        if self._busy_since_ns is None:
            return edge.active or lost
        if edge.active and self._active:
            # Active twice: the release between was lost, or the press fell between the request of
            # the line and the first look at its level.
            bounced = lost and edge.at_ns - self._last_edge_ns < self._debounce_ns
            return not bounced
        return False

    def _settle(self) -> list[Change]:
        changes = [Change.RELEASED]
        if self.stuck:
            changes.append(Change.UNSTUCK)
        if self.lost:
            changes.append(Change.INTACT)
        self._busy_since_ns = None
        self.stuck = self.lost = False
        return changes
