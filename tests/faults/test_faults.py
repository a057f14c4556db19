"""A short version of every story of `make faults`, some at a time."""

import asyncio
import threading
from concurrent.futures import Future

import pytest
from brokers import needs_mosquitto
from postgres_server import why_no_postgresql
from stage import Stage
from stories import STORIES
from story import Skipped

pytestmark = needs_mosquitto
AT_ONCE = 4
SEED = 7
# With PostgreSQL here: what only it has, and one of each kind. `make faults` plays all.
ON_POSTGRESQL = {
    "database-killed",
    "database-frozen",
    "broker-killed",
    "collector-dies-after-commit",
    "collector-shared",
    "gateway-killed",
    "gateway-restored",
    "hostile-batches",
}
CASES = [
    (name, kind)
    for name, it in STORIES.items()
    for kind in it.stores
    if kind == "sqlite" or name in ON_POSTGRESQL
]


class Theatre:
    """A stage on a loop and a thread of its own, so that stories go on between tests."""

    def __init__(self, folder) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._stage = self._run(self._open()).result()

    def play(self, case: tuple[str, str]) -> Future:
        """What will be the verdict."""
        return self._run(self._stage.play(*case))

    def close(self) -> None:
        """End what still plays, with its processes."""
        self._run(self._close()).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work) -> Future:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _open(self) -> Stage:
        stage = Stage(self._folder, seed=SEED, short=True, at_once=AT_ONCE)
        return await stage.__aenter__()

    async def _close(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._stage.__aexit__()


@pytest.fixture(scope="module")
def verdicts(request, tmp_path_factory):
    """What will become of each story that was asked for."""
    asked = [it.callspec.params["case"] for it in request.session.items if it.path == request.path]
    theatre = Theatre(tmp_path_factory.mktemp("faults"))
    try:
        told = [case for case in asked if case[1] == "sqlite" or not why_no_postgresql()]
        yield {case: theatre.play(case) for case in told}
    finally:
        theatre.close()


@pytest.mark.parametrize("case", CASES, ids="-on-".join)
def test_the_guarantee_holds(verdicts, case):
    if case not in verdicts:
        pytest.skip(why_no_postgresql())
    try:
        verdict = verdicts[case].result(110)
    except Skipped as reason:
        pytest.skip(str(reason))
    assert verdict.good, verdict
    assert verdict.confirmed > 20
    assert verdict.recovery_s is not None
