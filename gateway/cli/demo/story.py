"""The demo's script: a quiet while, an outage with a press (and a kill) in it, the return."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from collector.store import open_store
from gateway.cli.demo.books import DemoBooks, Press, accepted_of
from gateway.cli.demo.desk import Desk
from gateway.cli.demo.home import GATEWAY, Home
from gateway.cli.demo.process import Program
from gateway.cli.text import text
from gateway.control import ask
from gateway.errors import ControlError, HearthError
from gateway.journal.view import view
from gateway.model import CALL_ENDED

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.sim.broker import Broker

# Shares of the demo's time at which things happen.
FIRST_PRESS, BROKER_GOES, SECOND_PRESS, KILL, BROKER_RETURNS, THIRD_PRESS = (
    0.15, 0.35, 0.45, 0.55, 0.7, 0.85,
)  # fmt: skip
START_TIMEOUT_S = 30.0
LIGHT_TIMEOUT_S = 5.0
STORED_TIMEOUT_S = 40.0  # the uplink may wait up to 30 s between two tries to connect
# Until a call has arrived, was taken and closed: a press before that would be the same call.
CLOSED_TIMEOUT_S = STORED_TIMEOUT_S + 30.0
STORED_POLL_S = 0.005
STATUS_EVERY_S = 2.0


class Story:
    """One demo."""

    def __init__(
        self, folder: Path, sockets: Path, broker: Broker, *, kill: bool, out: TextIO
    ) -> None:
        self._folder = folder
        self._sockets = sockets
        self._seconds = 0.0
        self._kill = kill
        self._out = out
        self._home = Home(sockets)
        self._broker = broker
        self._desk = Desk(GATEWAY, folder)
        self._database = folder / "collector.db"
        self._started = time.monotonic()
        self._presses: list[Press] = []
        self._waiting: list[asyncio.Task[None]] = []

    async def tell(self, seconds: float) -> DemoBooks:
        """Run it all, in about so many seconds; the books."""
        self._seconds = seconds
        if self._database.exists() or (self._folder / "journal").exists():
            raise HearthError("there is a demo already", where=str(self._folder))
        async with self._home, self._broker:
            config = self._home.write_config(self._folder, self._broker.url, self._desk.public_key)
            gateway = self._program("gateway", ["run", "-c", str(config)])
            store = f"sqlite://{self._database.resolve()}"
            collector = self._program(
                "collector", ["collect", "--url", self._broker.url, "--store", store]
            )
            gateway.died = self._tell_death
            await collector.start()
            await gateway.start()
            try:
                await self._introduce(gateway)
                watch = asyncio.create_task(self._watch())
                await self._play(gateway)
                watch.cancel()
                await asyncio.gather(*self._waiting)
                await self._drained()
                self._say(text("stop: the gateway drains", "停止：网关清空待传事件"))
            finally:
                await gateway.stop()
                await collector.stop()
        return self._close_books(store)

    def _program(self, name: str, arguments: list[str]) -> Program:
        return Program(name, arguments, self._folder / f"{name}.log")

    async def _introduce(self, gateway: Program) -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._home.button.watched()
                await self._home.band.wait_subscribed()
                while self._stored("measurement") < 3:  # noqa: ASYNC110 - another process's file
                    await asyncio.sleep(STORED_POLL_S)
        except TimeoutError:
            raise HearthError(
                f"the home is not up after {START_TIMEOUT_S:.0f} s",
                hint="--keep DIR keeps gateway.log and collector.log, which say why",
            ) from None
        took_s = time.monotonic() - self._started
        self._say(
            text(
                f"a home is up after {took_s:.1f} s: wristband (BLE), two water meters (Modbus and"
                f" CJ/T 188 on one RS-485), call button;",
                f"{took_s:.1f} 秒后就绪：手环（BLE）、两块水表（同一 RS-485 上的 Modbus 与"
                f" CJ/T 188）、一键呼叫；",
            )
        )
        self._say(
            text(
                f"gateway (process {gateway.pid}; kill -9 it, if you like), broker"
                f" ({self._broker.kind}), collector (SQLite)",
                f"网关（进程 {gateway.pid}，可随时 kill -9）、消息服务器（{self._broker.kind}）、"
                f"收集端（SQLite）",
            )
        )
        self._started = time.monotonic()

    async def _play(self, gateway: Program) -> None:
        await self._until(FIRST_PRESS)
        await self._press(text("with the uplink up", "网络正常时"))
        await self._until(BROKER_GOES)
        await self._no_call_open()
        await self._broker.kill()
        self._say(text("THE BROKER IS GONE: no uplink", "消息服务器断开：上行中断"))
        await self._until(SECOND_PRESS)
        await self._press(text("during the outage", "断网期间"))
        if self._kill:
            await self._until(KILL)
            self._say(text("kill -9 the gateway", "强制杀死网关进程（kill -9）"))
            gateway.kill()
        await self._until(BROKER_RETURNS)
        await self._broker.start()
        self._say(text("the broker is back", "消息服务器恢复"))
        await self._until(THIRD_PRESS)
        await self._press(text("after the outage", "恢复之后"))
        await self._until(1.0)

    async def _until(self, share: float) -> None:
        await asyncio.sleep(max(0.0, self._started + share * self._seconds - time.monotonic()))

    async def _press(self, moment: str) -> None:
        """Press; say when the light comes; wait for the collector in the background."""
        press = Press(moment)
        self._presses.append(press)
        self._say(text(f"someone presses the button, {moment}", f"有人按下呼叫键（{moment}）"))
        await self._no_call_open()
        pressed = time.monotonic()
        self._home.button.hold()
        try:
            async with asyncio.timeout(LIGHT_TIMEOUT_S):
                await self._home.button.wait_light(on=True)
        except TimeoutError:
            self._say(text("NO LIGHT", "灯未亮"))
        else:
            press.light_s = time.monotonic() - pressed
            self._say(
                text(
                    f"its light comes on after {press.light_s * 1000:.0f} ms: the call is on flash",
                    f"{press.light_s * 1000:.0f} 毫秒后灯亮：呼叫已写入闪存",
                )
            )
        self._home.button.release()
        number = len(self._presses)
        self._waiting.append(asyncio.create_task(self._await_stored(press, number, pressed)))

    async def _no_call_open(self) -> None:
        """Until the light proves the next call.

        A gateway that starts knows the calls before, and does not watch the button yet.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSED_TIMEOUT_S):
                while await self._is_call_open():  # noqa: ASYNC110 - another process's call
                    await asyncio.sleep(STORED_POLL_S)
                await self._home.button.watched()
                await self._home.button.wait_light(on=False)

    async def _is_call_open(self) -> bool:
        """Also while the gateway does not answer: then nobody knows."""
        try:
            calls = (await self._status())["calls"]
        except ControlError:
            return True
        return any(call["state"] not in CALL_ENDED for call in calls)

    async def _status(self) -> dict[str, Any]:
        return await asyncio.to_thread(ask, str(self._sockets / "control.sock"), "status")

    async def _take_call(self) -> None:
        """The desk takes the newest call, and closes it."""
        row = self._query(
            "SELECT body ->> '$.detail.call' FROM events WHERE kind = ? ORDER BY seq DESC LIMIT 1",
            "call",
        )
        if row is None:
            return
        taken = await self._desk.order(self._broker.url, "call.accept", str(row[0]))
        if taken and await self._desk.order(self._broker.url, "call.close", str(row[0])):
            self._say(
                text(
                    "the community desk has taken the call and closed it, by signed orders",
                    "社区服务台已接听并结束呼叫（签名命令）",
                )
            )

    async def _await_stored(self, press: Press, number: int, pressed: float) -> None:
        try:
            async with asyncio.timeout(STORED_TIMEOUT_S + self._seconds):
                while self._stored("call") < number:  # noqa: ASYNC110 - another process's file
                    await asyncio.sleep(STORED_POLL_S)
        except TimeoutError:
            return  # the books say so
        press.stored_s = time.monotonic() - pressed
        self._say(
            text(
                f"the collector has the call, {press.moment}: {press.stored_s * 1000:.0f} ms",
                f"收集端已收到呼叫（{press.moment}）：{press.stored_s * 1000:.0f} 毫秒",
            )
        )
        await self._take_call()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(STATUS_EVERY_S)
            try:
                status = await self._status()
            except ControlError:
                self._say(text("  the gateway does not answer", "  网关无应答"))
                continue
            self._say("  " + self._status_line(status))

    def _status_line(self, status: dict[str, Any]) -> str:
        lanes = status["journal"]["lanes"].values()
        devices = status["devices"].values()
        up = status["uplink"]["connected"]
        facts = [
            text("uplink up", "上行正常") if up else text("UPLINK DOWN", "上行中断"),
            f"{text('accepted', '已接收')} {sum(lane['accepted'] for lane in lanes)}",
            f"{text('waiting', '待上传')} {sum(lane['backlog'] for lane in lanes)}",
            f"{text('stored', '已入库')} {self._stored('')}",
            text(
                f"{sum(d['state'] == 'online' for d in devices)} of {len(devices)} devices online",
                f"设备在线 {sum(d['state'] == 'online' for d in devices)}/{len(devices)}",
            ),
        ]
        return " · ".join(facts + self._readings())

    async def _drained(self) -> None:
        """Until the gateway has nothing that waits, or time is up; the books tell which."""
        deadline = time.monotonic() + STORED_TIMEOUT_S
        while time.monotonic() < deadline:
            status = await self._status()
            if sum(lane["backlog"] for lane in status["journal"]["lanes"].values()) < 10:
                return
            await asyncio.sleep(0.1)

    def _readings(self) -> list[str]:
        """The newest heart rate and volume at the collector."""
        found = []
        for name in ("heart_rate", "volume"):
            row = self._query(
                "SELECT r.value ->> 'v', r.value ->> 'u' FROM events,"
                " json_each(body, '$.measurements') AS r WHERE r.value ->> 'n' = ?"
                " ORDER BY seq DESC LIMIT 1",
                name,
            )
            if row:
                found.append(f"{row[0]:.7g} {row[1]}")
        return found

    def _stored(self, kind: str) -> int:
        """Events of a kind that the collector has; of any kind if none is named."""
        row = self._query("SELECT count(*) FROM events WHERE ? IN ('', kind)", kind)
        return int(row[0]) if row else 0

    def _query(self, question: str, value: str) -> tuple[Any, ...] | None:
        try:
            database = sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=1)
            try:
                row: tuple[Any, ...] | None = database.execute(question, (value,)).fetchone()
                return row
            finally:
                database.close()
        except sqlite3.OperationalError:
            return None  # the collector has not made it yet

    def _close_books(self, store: str) -> DemoBooks:
        looked = view(self._folder / "journal")
        opened = open_store(store)
        try:
            books = opened.books()
        finally:
            opened.close()
        result = DemoBooks(
            accepted=accepted_of(looked),
            waiting={lane.lane.name.lower(): len(lane.entries) for lane in looked.lanes},
            books=books,
            presses=self._presses,
            calls_stored=self._stored("call"),
        )
        print(f"\n{result.as_page()}", file=self._out)
        return result

    def _tell_death(self, code: int) -> None:
        self._say(
            text(
                f"the gateway died ({code}); it is started again",
                f"网关退出（{code}），重新启动",
            )
        )

    def _say(self, line: str) -> None:
        print(f"{time.monotonic() - self._started:6.1f} s  {line}", file=self._out, flush=True)
