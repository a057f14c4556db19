"""Runs meter drivers against a port: one stub context each, one bus between them."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
from stub_context import StubContext

from gateway.settings import BusSettings


class Bench:
    def __init__(self, port, **line):
        self.bus = BusSettings("wires", port, **line)
        self.contexts = []
        self.tasks = []

    def start(self, driver_class, **options):
        context = StubContext(f"meter-{len(self.contexts)}", self.bus)
        if self.contexts:
            context.shared_objects = self.contexts[0].shared_objects
        self.contexts.append(context)
        settings = msgspec.convert(options, driver_class.Settings)
        context.task = asyncio.create_task(driver_class(settings, context).run())
        self.tasks.append(context.task)
        return context


@asynccontextmanager
async def bench(port, **line):
    made = Bench(port, **line)
    try:
        yield made
    finally:
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
        for context in made.contexts[:1]:
            await context.close()


def values(observation):
    return {m.name: m.value for m in observation.measurements}
