"""All open calls: what happens to them is kept, told upstream and shown, in this order.

Only the first sign, STORED, is shown before it is kept: it says that the call is in the journal,
and that is where a restart finds it. What the flash refuses to keep is shown all the same, because
it is true now; after a power cut that call would be found at an earlier state.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING

import msgspec

from gateway.calls.call import Call, Clockwork
from gateway.calls.past import calls_in_journal
from gateway.calls.signs import Board, BoardSigns
from gateway.calls.texts import Texts
from gateway.errors import JournalError
from gateway.model import CallState, Kind, Lane, Observation, TimeQuality

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from gateway.calls.book import CallBook
    from gateway.clock import Clock
    from gateway.journal import Journal, Receipt
    from gateway.model import Scalar
    from gateway.recorder import Recorder
    from gateway.settings import CallSettings

# A call that is over is shown as closed for so long: time to hear it said.
SHOWN_S = 10.0
# Ids begin with a letter, so that nobody takes one for a number.
_ID = "c"
# The device name of the gateway's own events. Its own calls are tests of the way, and nobody is
# shown anything.
GATEWAY = "gateway"

log = logging.getLogger("hearth.calls")


class CallDesk:
    """The desk. `run` beside everything else; `restore` before any device starts."""

    def __init__(
        self,
        journal: Journal,
        recorder: Recorder,
        book: CallBook,
        settings: CallSettings,
        clock: Clock,
        *,
        answered: bool,
        text_of: Callable[[Call], str] = lambda call: call.id,
    ) -> None:
        """No call yet.

        Args:
            journal: where calls are stored.
            recorder: the way into it.
            book: where is kept how far they got.
            settings: their timings.
            clock: for when they came.
            answered: whether anybody upstream can take a call; else it ends by itself.
            text_of: what a second path sends of a call.
        """
        self._journal = journal
        self._recorder = recorder
        self._book = book
        self._settings = settings
        self._clock = clock
        self._clockwork = Clockwork(settings, answered=answered)
        self._text_of = text_of
        self._calls: dict[str, Call] = {}
        self._opened_s: dict[str, float] = {}  # of the calls of this run, in loop time
        self._changed_s: dict[str, float] = {}
        self._board = Board()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self.texts = Texts(self._texted, self._not_texted)

    # --- calls come ------------------------------------------------------------------------------

    def call(self, device: str, labels: Mapping[str, str], seen: Observation) -> Receipt:
        """A person calls. JournalError if the journal does not accept it: then nothing happened."""
        call = self._joinable(device) or self._new(device, labels, seen)
        detail: dict[str, Scalar] = {**seen.detail, "call": call.id}
        if call.id in self._calls:
            detail["presses"] = call.presses + 1
        receipt = self._recorder.record(
            msgspec.structs.replace(seen, detail=detail), device, labels
        )
        if call.id in self._calls:
            call.presses += 1
        else:
            self._add(call)
            self._opened_s[call.id] = _now_s()
        self._start(self._follow(call, receipt))
        return receipt

    def cancel(self, device: str) -> bool:
        """The person takes back the calls of a device; False if it is too late for all of them."""
        now_s = _now_s()
        young = [
            call
            for call in self._calls.values()
            if call.device == device
            and call.joinable
            and now_s - self._opened_s.get(call.id, float("-inf")) <= self._settings.cancel
        ]
        for call in young:
            call.end(CallState.CANCELLED)
            self._start(self._tell(call))
        return bool(young)

    # --- people answer ---------------------------------------------------------------------------

    def is_open(self, call_id: str) -> bool:
        """Whether a call of this id waits for something."""
        call = self._calls.get(call_id)
        return call is not None and not call.ended

    async def accept(self, call_id: str, by: str) -> bool:
        """A person takes a call; False if there is no such open call. Told and kept on return."""
        return await self._answer(call_id, lambda call: call.accept(by))

    async def close(self, call_id: str, by: str) -> bool:
        """A call is over; as `accept`."""
        return await self._answer(call_id, lambda call: call.end(CallState.CLOSED), by=by)

    async def _answer(self, call_id: str, change: Callable[[Call], bool], **more: Scalar) -> bool:
        if not self.is_open(call_id):
            return False
        call = self._calls[call_id]
        if change(call):
            await self._tell(call, **more)
        return True

    # --- signs -----------------------------------------------------------------------------------

    def signs(self, device: str | None = None) -> BoardSigns:
        """How the calls of a device stand, or all."""
        return BoardSigns(self._board, device)

    def snapshot(self) -> list[dict[str, object]]:
        """The open calls, for `hearth status`."""
        return [
            {
                "call": call.id,
                "device": call.device,
                "state": call.state,
                "presses": call.presses,
                "test": call.test,
            }
            for call in self._calls.values()
        ]

    # --- time ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """What time brings, until cancelled."""
        try:
            while True:
                self._wake.clear()
                delay_s = self._look()
                try:
                    async with asyncio.timeout(delay_s):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _look(self) -> float | None:
        """Do what is due; how long until the next thing is, in s."""
        now_s = _now_s()
        waits = [self._look_at(call, now_s) for call in list(self._calls.values())]
        return min((wait for wait in waits if wait is not None), default=None)

    def _look_at(self, call: Call, now_s: float) -> float | None:
        since_s = now_s - self._changed_s[call.id]
        if call.ended:
            if since_s >= SHOWN_S:
                self._forget(call)
                return None
            return SHOWN_S - since_s
        if self._is_forgotten(call):
            call.end(CallState.EXPIRED)
            self._start(self._tell(call))
            return SHOWN_S
        due_s = self._clockwork.due_s(call)
        if due_s is None:
            return self._settings.forget
        if since_s < due_s:
            return due_s - since_s
        self._due(call)
        return 0.0

    def _due(self, call: Call) -> None:
        due = self._clockwork.due(call)
        self._changed_s[call.id] = _now_s()
        if due.repeat:
            call.repeats += 1
            self._start(self._tell(call, state="repeated", count=call.repeats))
            return
        call.state = due.state
        self._start(self._tell(call))
        self._offer_text(call)

    def _offer_text(self, call: Call) -> None:
        if self._clockwork.wants_text(call) and call.device != GATEWAY:
            self.texts.offer(call.id, self._text_of(call))

    def _is_forgotten(self, call: Call) -> bool:
        """Whether a call is so old that nobody waits for an answer."""
        stamp = self._clock.stamp()
        if stamp.quality is TimeQuality.UNKNOWN or not call.wall_ms:
            return _now_s() - self._changed_s[call.id] > self._settings.forget
        return stamp.wall_ms - call.wall_ms > 1000 * self._settings.forget

    # --- the past --------------------------------------------------------------------------------

    def restore(self) -> None:
        """Find the calls that were open when hearth stopped, in the book and in the journal."""
        calls = {call.id: call for call in self._book.read() if not call.ended}
        calls_in_journal(self._journal, calls)
        for call in calls.values():
            if call.ended:
                continue
            self._add(call)
            self._offer_text(call)  # who was about to send it has forgotten
            if call.journal == self._journal.uuid.hex() and call.seq:
                call.stored()
                self._start(self._await_delivery(call))
            elif call.undelivered:
                self._call_again(call)
        self._board.show(self._shown())
        if calls:
            self._start(self._keep())

    def _call_again(self, call: Call) -> None:
        """A call that is known and not in this journal: it was on its way, or the card is new."""
        call.lost()
        detail: dict[str, Scalar] = {"call": call.id, "cause": call.cause, "again": True}
        if call.test:
            detail["test"] = True
        try:
            receipt = self._recorder.record(
                Observation(Kind.CALL, detail=detail), call.device, call.labels
            )
        except JournalError as error:
            log.warning("call %s could not be told again: %s", call.id, error)
            return
        self._start(self._follow(call, receipt))

    # --- how a call gets on ----------------------------------------------------------------------

    async def _follow(self, call: Call, receipt: Receipt) -> None:
        """One press, from the journal to the far side."""
        try:
            seq = await receipt
        except JournalError:
            pass  # it travels from memory; nobody is told that it is stored
        else:
            if not call.seq:
                call.journal, call.seq = self._journal.uuid.hex(), seq
            if call.stored():
                self._changed(call)
                self._board.show(self._shown([call]))
                self._start(self._keep())
        try:
            await receipt.delivered()
        except JournalError as error:
            log.error("call %s had to go before it was delivered: %s", call.id, error)  # noqa: TRY400
            return
        await self._delivered(call)

    async def _await_delivery(self, call: Call) -> None:
        """One of an earlier run, to the far side."""
        try:
            await asyncio.wrap_future(self._journal.delivery_of(Lane.URGENT, call.seq))
        except JournalError as error:
            log.error("call %s had to go before it was delivered: %s", call.id, error)  # noqa: TRY400
            return
        await self._delivered(call)

    async def _delivered(self, call: Call) -> None:
        if not call.delivered():
            return
        self.texts.withdraw(call.id)
        if call.device == GATEWAY:  # its test is over, and nobody is asked to take it
            call.end(CallState.CLOSED)
        self._changed(call)
        await self._keep()

    def _texted(self, call_id: str) -> None:
        call = self._calls.get(call_id)
        if call is None or call.ended:
            return
        call.texted()
        self._start(self._tell(call, state="texted"))

    def _not_texted(self, call_id: str, reason: str) -> None:
        if call := self._calls.get(call_id):
            self._start(self._tell(call, state="not_texted", reason=reason[:200]))

    async def _tell(self, call: Call, **more: Scalar) -> None:
        """Tell upstream how a call is now, keep it, show it."""
        detail: dict[str, Scalar] = {"call": call.id, "state": str(call.state)}
        if call.by:
            detail["by"] = call.by
        self._changed(call)
        try:
            await self._recorder.record(
                Observation(Kind.CALL_STATE, detail=detail | more), call.device, call.labels
            )
        except JournalError as error:
            log.warning("call %s: %s could not be told: %s", call.id, call.state, error)
        if call.ended:
            self.texts.withdraw(call.id)
        await self._keep()

    async def _keep(self) -> None:
        """Keep all calls as they are now, then show them so."""
        as_now = [msgspec.structs.replace(call) for call in self._calls.values()]
        try:
            await self._book.write(call for call in as_now if not call.ended)
        except JournalError as error:
            log.warning("how calls stand could not be kept: %s", error)
        self._board.show(self._shown(as_now))

    # --- small things ----------------------------------------------------------------------------

    def _joinable(self, device: str) -> Call | None:
        found = (it for it in self._calls.values() if it.device == device and it.joinable)
        return next(found, None)

    def _new(self, device: str, labels: Mapping[str, str], seen: Observation) -> Call:
        cause, test = str(seen.detail.get("cause", "")), bool(seen.detail.get("test", False))
        wall_ms = self._clock.stamp(seen.uptime_ms).wall_ms
        return Call(
            _ID + secrets.token_hex(4), device, dict(labels), cause, test=test, wall_ms=wall_ms
        )

    def _add(self, call: Call) -> None:
        self._calls[call.id] = call
        self._changed(call)

    def _changed(self, call: Call) -> None:
        self._changed_s[call.id] = _now_s()
        self._wake.set()

    def _forget(self, call: Call) -> None:
        del self._calls[call.id], self._changed_s[call.id]
        self._opened_s.pop(call.id, None)
        self._board.forget(call.id)

    def _shown(self, calls: list[Call] | None = None) -> list[Call]:
        known = self._calls.values() if calls is None else calls
        return [call for call in known if call.device != GATEWAY and call.id in self._calls]

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
