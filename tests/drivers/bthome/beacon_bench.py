"""A driver at work on a virtual radio, and what the tests of beacons share."""

from itertools import groupby

from driven import driven_by
from stub_context import StubContext

from drivers.bthome.driver import BthomeDriver
from drivers.bthome.settings import BthomeSettings
from gateway.model import Kind

ADDRESS = "C0:FF:EE:00:00:02"
KEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")


def settings(adapter, address=ADDRESS, **options):
    return BthomeSettings(address=address, adapter=f"sim:{adapter.path}", **options)


def driven(settings, context):
    """The driver at work."""
    return driven_by(BthomeDriver(settings, context))


def states(context):
    """The states in their order; the same one told again does not count, as for the daemon."""
    return [state for state, _ in groupby(context.states, lambda it: it[0])]


def presses(context):
    return [call.detail["press"] for call in context.of(Kind.CALL)]


def faults(context, *, active=True):
    return [f.detail["fault"] for f in context.of(Kind.FAULT) if f.detail["active"] is active]


class RefusingContext(StubContext):
    """A journal that refuses: `refusals` of a kind are raised one by one."""

    def __init__(self, kind, *refusals):
        super().__init__("button-1")
        self.kind = kind
        self.refusals = list(refusals)

    def emit(self, observation):
        if observation.kind is self.kind and self.refusals:
            raise self.refusals.pop(0)
        return super().emit(observation)
