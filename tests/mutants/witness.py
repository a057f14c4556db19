"""A pytest plugin for the run of one mutant: writes down what happens, as it happens.

Each line of the file that WITNESS names is JSON: ["start", test], ["failed", test, why] or
["done", test, seconds]. So the runner knows which test hung even when it had to end the process.
It refuses a run whose `gateway` is not the copy's, and ends the process as soon as the tests are
over: a fault may leave a thread behind that never ends.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import hypothesis
import pytest

ELSEWHERE = 70  # exit status: `gateway` came from another tree


def _say(*line: object) -> None:
    with Path(os.environ["WITNESS"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def pytest_configure() -> None:
    """The same examples for every mutant, and none made small: that it fails is enough."""
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutants", deadline=None, derandomize=True, database=None, phases=phases
    )
    hypothesis.settings.load_profile("mutants")


def pytest_collection_finish() -> None:
    here = Path.cwd()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] == "gateway" and file and here not in Path(file).parents:
            pytest.exit(f"{name} is {file}, not of the copy {here}", ELSEWHERE)


def pytest_runtest_logstart(nodeid: str) -> None:
    _say("start", nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        _say("failed", report.nodeid, str(report.longrepr)[-2000:])
    if report.when == "call":
        _say("done", report.nodeid, report.duration)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _say("failed", report.nodeid, str(report.longrepr)[-2000:])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(config.stash.get(_STATUS, ELSEWHERE))


_STATUS = pytest.StashKey[int]()
