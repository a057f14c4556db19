"""The end of the demo: does everything that the gateway accepted stand in the collector's books?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from gateway.cli.collect import facts
from gateway.cli.text import text

if TYPE_CHECKING:
    from collector.books import Book
    from gateway.journal.view import JournalView


class Press(msgspec.Struct):
    """One press of the button. Times in seconds since the press; None: it never happened."""

    moment: str
    light_s: float | None = None  # the light: on the gateway's flash
    stored_s: float | None = None  # committed at the collector


class DemoBooks(msgspec.Struct, frozen=True):
    """What was accepted, what is stored, and how long a press took."""

    accepted: dict[str, int]  # by the gateway's journal, lane -> events
    waiting: dict[str, int]  # still in the journal
    books: list[Book]  # of the collector
    presses: list[Press]
    calls_stored: int

    @property
    def balanced(self) -> bool:
        """Everything accepted is stored or told as lost, nothing twice, every press a call."""
        there = {book.lane.name.lower(): book for book in self.books}
        return (
            len(there) == len(self.books) == len(self.accepted)
            and all(there[lane].accepted == count for lane, count in self.accepted.items())
            and all(book.balanced and not book.conflicts for book in self.books)
            and not any(self.waiting.values())
            and self.calls_stored == len(self.presses)
            and all(press.light_s and press.stored_s for press in self.presses)
        )

    def as_json(self) -> str:
        """For programs."""
        return json.dumps(
            {
                "balanced": self.balanced,
                "accepted": self.accepted,
                "waiting": self.waiting,
                "lanes": [facts(book) for book in self.books],
                "presses": [msgspec.to_builtins(press) for press in self.presses],
                "calls_stored": self.calls_stored,
            }
        )

    def as_page(self) -> str:
        """For people."""
        total = {
            text("accepted by the gateway", "网关已接收"): sum(self.accepted.values()),
            text("stored by the collector", "收集端已入库"): sum(b.stored for b in self.books),
            text("told as lost (gaps)", "已报告缺失"): sum(b.lost for b in self.books),
            text("sent again, refused as duplicates", "重复到达并拒收"): sum(
                b.duplicates for b in self.books
            ),
            text("presses / calls stored", "按键 / 已入库呼叫"): (
                f"{len(self.presses)} / {self.calls_stored}"
            ),
        }
        lines = [text("The books", "账目"), ""]
        lines += [f"  {name:<36} {value}" for name, value in total.items()]
        lines += ["", *(f"  {self._press(press)}" for press in self.presses), ""]
        lines.append(
            text("  The books balance.", "  账目相符。")
            if self.balanced
            else text("  THE BOOKS DO NOT BALANCE.", "  账目不符！")
        )
        return "\n".join(lines)

    def _press(self, press: Press) -> str:
        never = text("never", "从未")
        light = f"{press.light_s * 1000:.0f} ms" if press.light_s else never
        stored = f"{press.stored_s * 1000:.0f} ms" if press.stored_s else never
        return text(
            f"press {press.moment}: on flash and light on after {light}, stored after {stored}",
            f"按键（{press.moment}）：{light} 后写入闪存并亮灯，{stored} 后入库",
        )


def accepted_of(looked: JournalView) -> dict[str, int]:
    """The highest seq of each lane that has any: seqs begin at 1 and leave none out."""
    return {lane.lane.name.lower(): lane.last for lane in looked.lanes if lane.last}
