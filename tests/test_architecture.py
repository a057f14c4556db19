"""The floors of ARCHITECTURE.md and the rules of the house, read from the source itself.

An import under TYPE_CHECKING counts like any other: a module that knows a name of a higher floor
depends on it, even if only its reader notices. Where the rule is about what is loaded ("late",
"pure"), such imports do not count.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("gateway", "drivers", "collector")
FILES = sorted(
    path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py")
)

# A new module finds its place here and in ARCHITECTURE.md first.
FLOORS = {
    0: ["gateway", "gateway.errors", "gateway.model", "gateway.clock"],
    1: [
        "gateway.strict",
        "gateway.deflate",
        "gateway.codec",
        "gateway.settings",
        "gateway.backoff",
        "gateway.crew",
        "gateway.resources",
        "gateway.speakable",
        "gateway.timekeeper",
        "gateway.finding",
    ],
    2: ["gateway.journal"],
    3: [
        "gateway.driver",
        "gateway.uplink",
        "gateway.recorder",
        "gateway.durable_file",
        "gateway.notes",
        "gateway.signing",
    ],
    4: ["drivers", "gateway.plan"],
    5: [
        "gateway.commands",
        "gateway.forwarding",
        "gateway.health",
        "gateway.caretaker",
        "gateway.announce",
        "gateway.reminders",
        "gateway.news",
        "gateway.calls",
        "gateway.household",
        "gateway.supervision",
        "gateway.overrides",
        "gateway.mirror",
    ],
    6: [
        "gateway.supervisor",
        "gateway.orders",
        "gateway.control",
        "gateway.notify",
        "gateway.doctor",
        "gateway.metrics",
    ],
    7: ["gateway.assembly", "gateway.daemon"],
    8: ["gateway.cli"],
}
FLOOR_OF = {module: floor for floor, modules in FLOORS.items() for module in modules}

# Who may import a library: exactly these files, or files of these folders.
SOLE_IMPORTERS = {
    "aiomqtt": ["gateway/uplink/"],
    "paho": ["gateway/uplink/"],  # what aiomqtt itself stands on
    "bleak": ["drivers/ble/", "drivers/sim/"],
    "bleak_retry_connector": ["drivers/ble/radio.py"],
    "dbus_fast": ["drivers/ble/bluez.py"],  # what bleak itself stands on
    "gpiod": ["drivers/gpio/"],
    "serialx": ["drivers/bus/link.py"],
    "cryptography": [
        "drivers/bthome/cipher.py",
        "gateway/signing/signature.py",
        "gateway/uplink/hints.py",
    ],
    "bumble": ["drivers/sim/", "gateway/cli/demo/"],
    "amqtt": ["drivers/sim/"],
    "psycopg": ["collector/storage/postgres.py"],
    "sqlite3": [
        "collector/storage/sqlite.py",
        "collector/storage/checkpoint.py",
        "gateway/cli/demo/",
    ],
    "ctypes": ["gateway/clock.py"],
    "dateutil": ["gateway/reminders/rule.py"],
    "prometheus_client": ["gateway/metrics/", "collector/metrics.py"],
    "aiohttp": ["collector/outputs/webhook.py"],
}
# Floors 0 to 2 need nothing else from outside the standard library.
LOW_FLOORS_THIRD_PARTY = {"cbor2", "msgspec"}
# What a codec has no business with: bytes in, readings out.
IMPURE = {
    "asyncio", "concurrent", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random",
    "select", "selectors", "signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time",
}  # fmt: skip
LONGEST_FUNCTION = 70
# Who catches broadly, because it runs what others wrote, and tells each failure as an event: the
# supervisor devices, the dispatcher what commands do. Everywhere else a broad handler raises again.
CATCHES_BROADLY = {"gateway/supervisor.py", "gateway/commands/dispatcher.py"}
# What both ends of the line must understand alike, so the collector may know it, too.
BOTH_ENDS = ["gateway.uplink.", "gateway.commands.wire.", "gateway.signing."]


class Import(NamedTuple):
    """One imported module, where, and whether the import is run when the module is."""

    module: str
    line: int
    late: bool  # inside a function
    typing_only: bool


class Source:
    """One file, parsed."""

    def __init__(self, path: str, text: str | None = None) -> None:
        self.path = path
        self.text = (ROOT / path).read_text("utf-8") if text is None else text
        self.tree = ast.parse(self.text)
        name = path.removesuffix(".py").removesuffix("/__init__")
        self.module = name.replace("/", ".")
        self.imports = [*_imports(self.tree, late=False, typing_only=False)]

    def at(self, line: int, what: str) -> str:
        return f"{self.path}:{line}: {what}"


def _imports(node: ast.AST, *, late: bool, typing_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, late, typing_only)
        elif isinstance(child, ast.ImportFrom):
            base = "." * child.level + (child.module or "")
            for alias in child.names:
                submodule = f"{base}.{alias.name}"
                name = submodule if _exists(submodule) else base
                yield Import(name, child.lineno, late, typing_only)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _imports(child, late=True, typing_only=typing_only)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for part in child.body:
                yield from _imports(ast.Module([part], []), late=late, typing_only=True)
            for part in child.orelse:
                yield from _imports(ast.Module([part], []), late=late, typing_only=typing_only)
        else:
            yield from _imports(child, late=late, typing_only=typing_only)


@cache
def _exists(module: str) -> bool:
    path = ROOT / module.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@cache
def source(path: str) -> Source:
    return Source(path)


def top(module: str) -> str:
    return module.partition(".")[0]


def floor_of(module: str) -> int | None:
    while module:
        if module in FLOOR_OF:
            return FLOOR_OF[module]
        module = module.rpartition(".")[0]
        if module == "gateway":
            return None  # a module of gateway that no floor names
    return None


def within(path: str, places: list[str]) -> bool:
    return any(path.startswith(place) if place.endswith("/") else path == place for place in places)


# --- the rules: each says what a source does wrong -----------------------------------------------


def no_floor(it: Source) -> list[str]:
    if top(it.module) == "collector" or floor_of(it.module) is not None:
        return []
    return [it.at(1, "stands on no floor: give it one in FLOORS and in ARCHITECTURE.md")]


def higher_floor(it: Source) -> list[str]:
    own = floor_of(it.module)
    if own is None:
        return []
    faults = []
    for seen in it.imports:
        floor = floor_of(seen.module)
        if floor is not None and floor > own:
            what = f"floor {own} imports {seen.module} of floor {floor}"
            faults.append(it.at(seen.line, what))
    return faults


def gateway_knows_no_adapters(it: Source) -> list[str]:
    """Drivers are found by entry point. Only the command line composes, and imports late."""
    if top(it.module) != "gateway":
        return []
    cli = it.path.startswith("gateway/cli/")
    loads_with_every_command = it.path.count("/") == 2 or it.path.endswith("/__init__.py")
    faults = []
    for seen in it.imports:
        if top(seen.module) not in {"drivers", "collector"}:
            continue
        if not cli:
            faults.append(it.at(seen.line, f"gateway imports {seen.module}"))
        elif loads_with_every_command and not (seen.late or seen.typing_only):
            faults.append(it.at(seen.line, f"{seen.module} is imported with every command"))
    return faults


def drivers_know_little(it: Source) -> list[str]:
    """Floors 0-1 and the Driver contract; of drivers their own kind, what drivers share, and late the fakes."""
    if top(it.module) != "drivers":
        return []
    kind = it.module.split(".")[1] if "." in it.module else ""
    faults = []
    for seen in it.imports:
        if top(seen.module) == "gateway":
            floor = floor_of(seen.module)
            if seen.module != "gateway.driver" and floor not in {0, 1}:
                faults.append(it.at(seen.line, f"a driver imports {seen.module}"))
        elif top(seen.module) == "collector":
            faults.append(it.at(seen.line, f"a driver imports {seen.module}"))
        elif top(seen.module) == "drivers" and kind != "sim":
            other = seen.module.split(".")[1] if "." in seen.module else kind
            if other == "sim" and not (seen.late or seen.typing_only):
                faults.append(it.at(seen.line, f"the fake {seen.module} is always loaded"))
            elif other not in {
                kind,
                "ble",
                "bus",
                "call",
                "fault",
                "gpio",
                "profile",
                "sim",
                "water",
            }:
                faults.append(it.at(seen.line, f"{kind} imports another driver, {seen.module}"))
    return faults


def collector_knows_little(it: Source) -> list[str]:
    if top(it.module) != "collector":
        return []
    return [
        it.at(seen.line, f"the collector imports {seen.module}")
        for seen in it.imports
        if top(seen.module) == "drivers"
        or (
            top(seen.module) == "gateway"
            and not f"{seen.module}.".startswith(tuple(BOTH_ENDS))
            and floor_of(seen.module) not in {0, 1}
        )
    ]


def not_the_sole_importer(it: Source) -> list[str]:
    return [
        it.at(seen.line, f"{seen.module} may only be imported by {places}")
        for seen in it.imports
        if (places := SOLE_IMPORTERS.get(top(seen.module))) and not within(it.path, places)
    ]


def heavy_low_floor(it: Source) -> list[str]:
    floor = floor_of(it.module)
    if floor is None or floor > 2:
        return []
    return [
        it.at(seen.line, f"floor {floor} imports {seen.module}")
        for seen in it.imports
        if is_third_party(seen.module) and top(seen.module) not in LOW_FLOORS_THIRD_PARTY
    ]


def impure_wire(it: Source) -> list[str]:
    """`wire.py`: bytes in, readings out; no I/O, no time, no port."""
    if not re.match(r"drivers/\w+/wire(\.py|/)", it.path):
        return []
    return [
        it.at(seen.line, f"a codec imports {seen.module}")
        for seen in it.imports
        if top(seen.module) in IMPURE
        or (is_third_party(seen.module) and top(seen.module) != "msgspec")
        or seen.module.endswith((".link", ".driver", ".session"))
    ]


def undeclared_dependency(it: Source) -> list[str]:
    faults = []
    for seen in it.imports:
        if is_third_party(seen.module):
            names = {normalised(name) for name in distributions(top(seen.module))}
            if not names & declared(it.path):
                what = f"{seen.module} ({', '.join(sorted(names))}) is not declared in pyproject"
                faults.append(it.at(seen.line, what))
    return faults


def relative_import(it: Source) -> list[str]:
    return [
        it.at(seen.line, "a relative import") for seen in it.imports if seen.module.startswith(".")
    ]


def assertion(it: Source) -> list[str]:
    """`python -O` removes them, and bytes from outside are never checked with them."""
    nodes = ast.walk(it.tree)
    return [it.at(node.lineno, "assert") for node in nodes if isinstance(node, ast.Assert)]


def unfinished(it: Source) -> list[str]:
    lines = enumerate(it.text.splitlines(), 1)
    pattern = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    return [it.at(number, line.strip()) for number, line in lines if pattern.search(line)]


def long_function(it: Source) -> list[str]:
    return [
        it.at(node.lineno, f"{node.name} has {length} lines; {LONGEST_FUNCTION} is the most")
        for node in ast.walk(it.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    ]


def broad_handler(it: Source) -> list[str]:
    if it.path in CATCHES_BROADLY:
        return []
    faults = []
    for node in ast.walk(it.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            broad = re.search(r"\b(Exception|BaseException|everything)\b", caught)
            if broad and not isinstance(node.body[-1], ast.Raise):
                faults.append(it.at(node.lineno, f"catches {caught} and does not raise"))
    return faults


RULES = [
    no_floor,
    higher_floor,
    gateway_knows_no_adapters,
    drivers_know_little,
    collector_knows_little,
    not_the_sole_importer,
    heavy_low_floor,
    impure_wire,
    undeclared_dependency,
    relative_import,
    assertion,
    unfinished,
    long_function,
    broad_handler,
]


# --- what pyproject declares --------------------------------------------------------------------


def is_third_party(module: str) -> bool:
    return bool(module) and not (
        module.startswith(".") or top(module) in {*PACKAGES, *sys.stdlib_module_names}
    )


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def distributions(package: str) -> list[str]:
    return packages_distributions().get(package, [package])


@cache
def _pyproject() -> dict[str, set[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    def names(requirements: list[str]) -> set[str]:
        return {normalised(re.match(r"[\w.-]+", line)[0]) for line in requirements}

    extras = project["optional-dependencies"]
    return {"": names(project["dependencies"])} | {name: names(extras[name]) for name in extras}


def declared(path: str) -> set[str]:
    """Distributions that a file may count on; extras only where the extra is the point."""
    found = _pyproject()
    if within(path, ["drivers/sim/", "gateway/cli/demo/"]):
        return found[""] | found["sim"]
    if within(path, ["collector/"]):
        return found[""] | found["postgres"] | found["webhook"]
    return found[""]


# --- the tests ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps(rule):
    faults = [fault for path in FILES for fault in rule(source(path))]
    assert not faults, "\n" + "\n".join(faults)


def test_there_is_source():
    assert len(FILES) > 60
    assert {path.partition("/")[0] for path in FILES} == set(PACKAGES)


def test_every_floor_stands():
    """No name in the tables is left over from a module that is gone."""
    missing = [module for module in FLOOR_OF if not _exists(module)]
    places = [place for places in SOLE_IMPORTERS.values() for place in places]
    missing += [place for place in {*places, *CATCHES_BROADLY} if not (ROOT / place).exists()]
    assert not missing


def test_the_document_draws_the_same_floors():
    drawn = {}
    for line in (ROOT / "ARCHITECTURE.md").read_text("utf-8").splitlines():
        if row := re.match(r"\| (\d) \| ([^|]+) \|", line):
            drawn[int(row[1])] = {as_module(name) for name in re.findall(r"`([^`]+)`", row[2])}
    assert drawn == {floor: {*modules} - {"gateway"} for floor, modules in FLOORS.items()}


def as_module(name: str) -> str:
    """`gateway.codec` of `gateway/codec.py`, and of a `codec.py` that follows such a one."""
    module = re.sub(r"(\.py|/|/\*/)$", "", name).replace("/", ".")
    return module if top(module) in PACKAGES else f"gateway.{module}"


WRONG = [
    (no_floor, "gateway/new.py", ""),
    (higher_floor, "gateway/codec.py", "from gateway.journal import Journal"),
    (higher_floor, "gateway/errors.py", "import gateway.settings"),
    (higher_floor, "gateway/settings.py", "from gateway import driver"),
    (higher_floor, "gateway/journal/log.py", "if TYPE_CHECKING:\n from gateway.uplink import X"),
    (higher_floor, "gateway/plan.py", "def f():\n from gateway.daemon import Daemon"),
    (
        higher_floor,
        "drivers/button/driver.py",
        "from gateway.forwarding.forwarder import Forwarder",
    ),
    (gateway_knows_no_adapters, "gateway/daemon.py", "def f():\n import drivers.button.driver"),
    (gateway_knows_no_adapters, "gateway/health.py", "from collector.store import Store"),
    (gateway_knows_no_adapters, "gateway/cli/run.py", "from drivers.sim import board"),
    (gateway_knows_no_adapters, "gateway/cli/demo/__init__.py", "import collector.store"),
    (drivers_know_little, "drivers/button/driver.py", "from gateway.journal import Journal"),
    (drivers_know_little, "drivers/button/driver.py", "from gateway.recorder import Recorder"),
    (drivers_know_little, "drivers/button/driver.py", "from gateway.plan import plan"),
    (drivers_know_little, "drivers/gpio/link.py", "from drivers.sim.board import VirtualBoard"),
    (drivers_know_little, "drivers/modbus/driver.py", "from drivers.cjt188 import wire"),
    (drivers_know_little, "drivers/sim/board.py", "import collector.store"),
    (collector_knows_little, "collector/store.py", "from gateway.journal.view import view"),
    (collector_knows_little, "collector/store.py", "def f():\n import drivers.sim.broker"),
    (collector_knows_little, "collector/sender.py", "import gateway.commands.dispatcher"),
    (not_the_sole_importer, "gateway/forwarder.py", "import aiomqtt"),
    (not_the_sole_importer, "drivers/wristband/session.py", "from bleak.exc import BleakError"),
    (not_the_sole_importer, "drivers/button/driver.py", "def f():\n import gpiod.line"),
    (not_the_sole_importer, "drivers/bus/bus.py", "import serialx"),
    (heavy_low_floor, "gateway/journal/format.py", "import numpy"),
    (impure_wire, "drivers/modbus/wire.py", "import asyncio"),
    (impure_wire, "drivers/wristband/wire/battery.py", "from drivers.ble.link import Link"),
    (impure_wire, "drivers/button/wire.py", "import gpiod"),
    (undeclared_dependency, "gateway/daemon.py", "import yaml"),
    (undeclared_dependency, "gateway/daemon.py", "import bumble"),
    (undeclared_dependency, "drivers/sim/board.py", "import hypothesis"),
    (relative_import, "gateway/daemon.py", "from . import plan"),
    (assertion, "gateway/codec.py", "def f(data):\n assert data"),
    (unfinished, "gateway/codec.py", "x = 1  # TO" + "DO"),
    (long_function, "gateway/codec.py", "def f():\n" + " x = 1\n" * 70),
    (broad_handler, "drivers/gpio/link.py", "try:\n x\nexcept Exception:\n pass"),
    (broad_handler, "drivers/gpio/link.py", "try:\n x\nexcept (OSError, Exception):\n pass"),
    (broad_handler, "drivers/gpio/link.py", "try:\n x\nexcept:\n pass"),
]


@pytest.mark.parametrize(("rule", "path", "text"), WRONG, ids=lambda item: str(item)[:40])
def test_rules_find_what_is_wrong(rule, path, text):
    assert rule(Source(path, text))


RIGHT = [
    (higher_floor, "gateway/recorder.py", "from gateway.journal import Journal"),
    (higher_floor, "gateway/journal/log.py", "from gateway.journal.meta import Meta"),
    (higher_floor, "gateway/daemon.py", "from gateway import __version__"),
    (gateway_knows_no_adapters, "gateway/cli/collect.py", "def f():\n import collector.store"),
    (gateway_knows_no_adapters, "gateway/cli/demo/story.py", "from drivers.sim import broker"),
    (drivers_know_little, "drivers/gpio/link.py", "def f():\n import drivers.sim.board"),
    (drivers_know_little, "drivers/modbus/driver.py", "from drivers.bus.meter import MeterDriver"),
    (drivers_know_little, "drivers/modbus/driver.py", "from gateway.driver import Driver"),
    (drivers_know_little, "drivers/bus/meter.py", "from drivers.water.teller import Teller"),
    (drivers_know_little, "drivers/modbus/profile.py", "from gateway import resources"),
    (collector_knows_little, "collector/service.py", "from gateway.uplink import Uplink"),
    (collector_knows_little, "collector/service.py", "import gateway.uplink.port"),
    (collector_knows_little, "collector/sender.py", "from gateway.commands.wire import Command"),
    (undeclared_dependency, "drivers/sim/air.py", "import bumble"),
    (undeclared_dependency, "gateway/codec.py", "import cbor2, os.path"),
    (long_function, "gateway/codec.py", "def f():\n" + " x = 1\n" * 69),
    (broad_handler, "drivers/gpio/link.py", "try:\n x\nexcept BaseException:\n y\n raise"),
]


@pytest.mark.parametrize(("rule", "path", "text"), RIGHT, ids=lambda item: str(item)[:40])
def test_rules_leave_alone_what_is_right(rule, path, text):
    assert not rule(Source(path, text))
