"""A WristbandDriver in a process of its own: settings as JSON in, what it tells as JSON lines out."""

import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
from stub_context import StubContext

from drivers.wristband import driver
from drivers.wristband.settings import WristbandSettings
from gateway.errors import HearthError


class PrintingContext(StubContext):
    def emit(self, observation):
        values = {m.name: m.value for m in observation.measurements}
        self.say("emit", observation.kind.name, values or observation.detail)
        return super().emit(observation)

    def online(self, **detail):
        self.say("online", detail)

    def offline(self, reason):
        self.say("offline", reason)

    def say(self, *words):
        print(json.dumps(words), flush=True)


async def main() -> None:
    driver.RETRY_FIRST_S, driver.RETRY_CAP_S = 0.1, 0.2
    settings = msgspec.convert(json.loads(sys.argv[1]), WristbandSettings)
    context = PrintingContext("band-1")
    try:
        await driver.WristbandDriver(settings, context).run()
    except HearthError as error:
        context.say("error", type(error).__name__, error.what, error.hint)


asyncio.run(main())
