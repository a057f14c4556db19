"""A driver at work on a virtual radio, and what the tests of bands share."""

from driven import driven_by
from stub_context import StubContext

from drivers.wristband.driver import WristbandDriver
from drivers.wristband.settings import WristbandSettings
from gateway.model import Kind, Stamp, TimeQuality

ADDRESS = "C0:FF:EE:00:00:01"


def settings(adapter, address=ADDRESS, **options):
    options = {"connect_timeout": 5.0, **options}
    return WristbandSettings(address=address, adapter=f"sim:{adapter.path}", **options)


def driven(settings, context):
    """The driver at work."""
    return driven_by(WristbandDriver(settings, context))


def states(context):
    return [state for state, _ in context.states]


class SetClock:
    """A gateway's clock that knows the time, or does not."""

    def __init__(self, moment, quality=TimeQuality.SYNCHRONISED):
        self.wall_ms = round(moment.timestamp() * 1000)
        self.quality = quality

    def stamp(self, uptime_ms=None):
        return Stamp(bytes(8), uptime_ms or 0, self.wall_ms, self.quality)


class RefusingContext(StubContext):
    """A journal that refuses calls: `refusals` are raised one by one."""

    def __init__(self, *refusals):
        super().__init__("band-1")
        self.refusals = list(refusals)

    def emit(self, observation):
        if observation.kind is Kind.CALL and self.refusals:
            raise self.refusals.pop(0)
        return super().emit(observation)
