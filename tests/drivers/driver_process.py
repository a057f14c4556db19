"""A driver in a process of its own: its name and settings (JSON) in, what it tells as JSON lines out.

On its standard input: how calls stand (`delivered`, an empty line for none), or `identify`.
"""

import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import msgspec
from stub_context import StubContext

from gateway.driver import load_driver
from gateway.errors import HearthError
from gateway.model import CallState


class PrintingContext(StubContext):
    def emit(self, observation):
        measured = {record.name: record.value for record in observation.measurements}
        detail = {**measured, **observation.detail}
        self.say("emit", observation.kind.name, detail, observation.uptime_ms)
        return super().emit(observation)

    def online(self, **detail):
        self.say("online", detail)

    def offline(self, reason):
        self.say("offline", reason)

    def say(self, *words):
        print(json.dumps(words), flush=True)


async def obey(driver, context) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        word = line.decode().strip()
        if word == "identify":
            try:
                context.say("answer", await driver.command(word, {}))
            except HearthError as error:
                context.say("answer", str(error))
        else:
            for signs in (context.signs, context.house.signs):
                signs.become(CallState(word) if word else None)


async def main() -> None:
    kind = load_driver(sys.argv[1])
    context = PrintingContext("dev")
    driver = kind(msgspec.convert(json.loads(sys.argv[2]), kind.Settings), context)
    obeying = asyncio.create_task(obey(driver, context))
    try:
        await driver.run()
    except HearthError as error:
        context.say("error", type(error).__name__, error.what, error.hint)
    finally:
        obeying.cancel()


asyncio.run(main())
