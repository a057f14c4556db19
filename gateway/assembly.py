"""What runs beside each other in a gateway, put together: where ports meet adapters."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gateway.calls.desk import GATEWAY
from gateway.caretaker import Caretaker
from gateway.commands.dispatcher import Dispatcher
from gateway.control import ControlServer
from gateway.errors import SettingsError
from gateway.forwarding.allowance import Allowance
from gateway.forwarding.forwarder import Forwarder
from gateway.forwarding.steadiness import Steadiness
from gateway.forwarding.trust import Trust
from gateway.health import Health
from gateway.household import Household
from gateway.mirror import Mirror
from gateway.mirror.home_assistant import HomeAssistant
from gateway.mirror.home_assistant.kept import Kept
from gateway.mirror.mirror import uplink_of
from gateway.model import Kind, Lane, Observation
from gateway.orders import Orders
from gateway.overrides import Overrides
from gateway.recorder import try_to
from gateway.signing.keys import read_public_keys
from gateway.strict import sayable
from gateway.supervision import SIGNS_IN_TIME, Supervision
from gateway.supervisor import Supervisor
from gateway.timekeeper import Timekeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.clock import Clock
    from gateway.control import Answerer
    from gateway.errors import HearthError
    from gateway.journal import Journal, Receipt
    from gateway.metrics import MetricsServer
    from gateway.model import Scalar
    from gateway.plan import Planned
    from gateway.recorder import Recorder
    from gateway.settings import Settings
    from gateway.signing.signature import PublicKey

LONGEST_TEST_S = 4 * 3600  # a fitter who forgets to end it does not leave a home in test mode

log = logging.getLogger("hearth.daemon")


class Parts(NamedTuple):
    """What runs beside each other."""

    household: Household
    supervisor: Supervisor
    dispatcher: Dispatcher
    forwarder: Forwarder
    allowance: Allowance
    caretaker: Caretaker
    supervision: Supervision
    control: ControlServer
    mirror: Mirror | None
    metrics: MetricsServer | None


class Assembler:
    """Makes the parts.

    Args:
        settings: of the gateway.
        plan: its devices.
        journal: open.
        recorder: of that journal.
        clock: of the machine.
        stop: begins a clean stop.
    """

    def __init__(
        self,
        settings: Settings,
        plan: Sequence[Planned],
        journal: Journal,
        recorder: Recorder,
        clock: Clock,
        *,
        stop: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._journal = journal
        self._recorder = recorder
        self._clock = clock
        self._stop = stop
        self._home = Path(settings.journal.path) / "home"  # what is kept beside the journal
        self._health = Health(settings.gateway.id, journal, clock)

    def parts(self) -> Parts:
        """All of them, none of them running."""
        settings, health = self._settings, self._health
        keys = self._keys("commands", "commands.keys", settings.commands.keys)
        household = Household.open(
            settings, self._journal, self._recorder, self._clock, answered=bool(keys)
        )
        supervisor = self._supervisor(household)
        dispatcher = self._dispatcher(keys)
        Orders(household, supervisor, Overrides(settings), self._stop).register(dispatcher)
        allowance = self._allowance()
        forwarder = self._forwarder(dispatcher if keys else None, allowance)
        health.forwarder, health.household, health.allowance = forwarder, household, allowance
        health.mirror = self._mirror(household)
        return Parts(
            household,
            supervisor,
            dispatcher,
            forwarder,
            allowance,
            Caretaker(self._journal, self._recorder, self._clock, settings.journal),
            self._supervision(household),
            self._control(household),
            health.mirror,
            self._metrics(),
        )

    def _emit(self, seen: Observation) -> Receipt:
        return self._recorder.record(seen, GATEWAY)

    def _supervisor(self, household: Household) -> Supervisor:
        notes = Path(self._settings.journal.path) / "notes"
        supervisor = Supervisor(self._recorder, self._health, notes, household)
        for item in self._plan:
            supervisor.add(item.driver, item.options, item.device, item.bus)
        return supervisor

    def _keys(self, fault: str, place: str, names: Sequence[str]) -> tuple[PublicKey, ...]:
        """Whose word counts; nobody's, if a key is missing: that is no reason not to take calls."""
        try:
            return read_public_keys(names, place)
        except SettingsError as error:
            log.error("%s: nobody's word counts: %s", fault, error)  # noqa: TRY400 - told
            tell_fault(self._recorder, fault, error)
            return ()

    def _dispatcher(self, keys: tuple[PublicKey, ...]) -> Dispatcher:
        name, ledger = self._settings.gateway.id, self._home / "commands.json"
        return Dispatcher(name, keys, ledger, self._clock, self._emit)

    def _allowance(self) -> Allowance:
        return Allowance(
            self._settings.uplink.daily_limit_bytes,
            self._settings.supervision.quiet_after / SIGNS_IN_TIME,
            Timekeeper(self._clock),
            self._home / "traffic.json",
            self._emit,
        )

    def _forwarder(self, commands: Dispatcher | None, allowance: Allowance) -> Forwarder:
        return Forwarder(
            self._settings.gateway.id,
            self._settings.uplink,
            (self._journal, self._journal.unwritten),
            commands=commands,
            allowance=allowance,
            steadiness=Steadiness(self._emit),
            trust=self._trust(),
        )

    def _trust(self) -> Trust | None:
        """Who may acknowledge; None if the broker's rules of access say it."""
        names = self._settings.uplink.ack_keys
        return (
            Trust(self._keys("ack_keys", "uplink.ack_keys", names), self._emit) if names else None
        )

    def _supervision(self, household: Household) -> Supervision:
        journal = self._journal
        return Supervision(
            self._settings.supervision,
            self._emit,
            lambda seen: household.desk.call(GATEWAY, {}, seen),
            lambda: {lane: journal.accepted(lane) - journal.acknowledged(lane) for lane in Lane},
        )

    def _control(self, household: Household) -> ControlServer:
        answers: dict[str, Answerer] = {
            "status": lambda _: self._health.snapshot(),
            "test": partial(_test, household),
        }
        return ControlServer(self._settings.control.socket, answers)

    def _mirror(self, household: Household) -> Mirror | None:
        """The mirror, if `[mirror]` wants one; told of every event from now on."""
        settings, name = self._settings.mirror, self._settings.gateway.id
        broker = settings.broker(self._settings.uplink)
        if broker is None:
            return None
        kept, home = Kept(self._home / "mirror.json"), None
        if settings.home_assistant:

            def is_online(device: str) -> bool:
                return self._health.devices[device].state == "online"

            prefix, devices = settings.discovery_prefix, self._settings.devices
            home = HomeAssistant(
                name,
                prefix,
                devices,
                kept,
                language=self._settings.announce.language,
                is_online=is_online,
                calls=household.desk.snapshot,
            )
        mirror = Mirror(name, uplink_of(name, broker), kept, home)
        self._recorder.watch(mirror.note)
        return mirror

    def _metrics(self) -> MetricsServer | None:
        """Figures for Prometheus, if `[metrics]` wants them."""
        address = self._settings.metrics.address
        if address is None:
            return None
        from gateway.metrics import Figures, MetricsServer  # noqa: PLC0415 - it costs 1.6 MB

        return MetricsServer(address, Figures(self._health.snapshot))


def tell(recorder: Recorder, observation: Observation) -> bool:
    """An event of the gateway itself; whether the journal took it."""
    return try_to(lambda seen: recorder.record(seen, GATEWAY), observation)


def tell_fault(recorder: Recorder, fault: str, error: HearthError) -> None:
    """Something of the gateway itself does not work, and the rest goes on."""
    detail: dict[str, Scalar] = {"fault": fault, "active": True, "reason": sayable(str(error))}
    tell(recorder, Observation(Kind.FAULT, detail=detail))


def _test(household: Household, request: Mapping[str, Any]) -> dict[str, object]:
    """An installer's tests begin, or end."""
    seconds = request.get("seconds")
    if not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST_TEST_S:
        return {"error": f"seconds: 0 to {LONGEST_TEST_S}"}
    household.test_for(seconds)
    return {"testing": household.testing}
