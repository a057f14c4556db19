"""A ButtonDriver in a process of its own: settings as JSON in, what it tells as JSON lines out."""

import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
from stub_context import StubContext

from drivers.button.driver import ButtonDriver
from drivers.button.settings import ButtonSettings
from gateway.errors import HearthError


class PrintingContext(StubContext):
    def emit(self, observation):
        self.say("emit", observation.kind.name, observation.detail, observation.uptime_ms)
        return super().emit(observation)

    def online(self, **detail):
        self.say("online", detail)

    def offline(self, reason):
        self.say("offline", reason)

    def say(self, *words):
        print(json.dumps(words), flush=True)


async def main() -> None:
    settings = msgspec.convert(json.loads(sys.argv[1]), ButtonSettings)
    context = PrintingContext("call-bedroom")
    try:
        await ButtonDriver(settings, context).run()
    except HearthError as error:
        context.say("error", type(error).__name__, error.what, error.hint)


asyncio.run(main())
