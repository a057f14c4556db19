"""`hearth status`: what the page says, and that it keeps nothing quiet."""

from __future__ import annotations

import msgspec
import pytest

from gateway.cli.status import _page
from gateway.journal.journal import LaneStatus

LANE = LaneStatus(
    accepted=7, durable=7, acknowledged=4, segments=8, free_segments=6, unwritten=0, failed=""
)


def status(lane: LaneStatus = LANE, **journal: list[str]) -> dict:
    """What the daemon answers."""
    return {
        "gateway": "hil-home",
        "clock": "synchronised",
        "uplink": {"connected": False, "last_error": "refused", "hint": ""},
        "testing": False,
        "calls": [],
        "journal": {
            "bytes_written": 4096,
            "set_aside": [],
            "trouble": [],
            "lanes": {"urgent": msgspec.to_builtins(lane) | {"backlog": lane.backlog}},
            **journal,
        },
        "devices": {"button-1": {"state": "failed", "reason": "no such chip"}},
    }


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's words do not depend on who runs the tests."""
    monkeypatch.setenv("LANG", "en_GB.UTF-8")
    for name in ("LC_ALL", "LC_MESSAGES", "LANGUAGE"):
        monkeypatch.delenv(name, raising=False)


def test_a_flash_that_is_well_is_not_talked_of():
    page = _page(status())
    assert "urgent   accepted 7  waiting 3\n" in page
    assert "NOT CONNECTED (refused)" in page
    assert "FLASH" not in page


def test_what_to_look_at_is_said_while_there_is_no_connection():
    uplink = {"connected": False, "last_error": "refused", "hint": "is the broker running?"}
    page = _page(status() | {"uplink": uplink})
    assert "NOT CONNECTED (refused)\n  hint: is the broker running?\n" in page
    assert "hint" not in _page(status() | {"uplink": uplink | {"connected": True}})
    assert "hint" not in _page(status() | {"uplink": uplink | {"hint": ""}})


def test_what_is_not_on_flash_is_said_with_the_reason():
    lane = msgspec.structs.replace(LANE, unwritten=2, failed="[Errno 30] Read-only file system")
    assert (
        "urgent   accepted 7  waiting 3  NOT ON FLASH 2"
        "  FLASH FAILS: [Errno 30] Read-only file system\n"
    ) in _page(status(lane))


def test_what_opening_the_journal_met_is_said():
    page = _page(status(trouble=["meta was rebuilt"], set_aside=["urgent/0003.damaged"]))
    assert "meta was rebuilt" in page
    assert "urgent/0003.damaged" in page


def test_the_page_is_chinese_where_the_fitter_is(monkeypatch):
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    lane = msgspec.structs.replace(LANE, unwritten=2)
    assert "未写入存储卡 2" in _page(status(lane))


def test_open_calls_and_test_mode_are_said():
    calls = [
        {"call": "c0badcafe", "device": "call-bedroom", "state": "delivered", "presses": 2},
        {"call": "c00000001", "device": "call-bath", "state": None, "presses": 1},
    ]
    page = _page(status() | {"calls": calls, "testing": True})
    assert "CALL c0badcafe call-bedroom: delivered\n" in page
    assert "CALL c00000001 call-bath: not stored yet\n" in page
    assert "TEST MODE" in page


def test_a_mirror_is_told_of_where_there_is_one():
    well = {
        "connected": True, "queued": 0, "published": 12, "refused": 0, "dropped": 0,
        "last_error": "",
    }  # fmt: skip
    assert "mirror" not in _page(status())
    assert "mirror: connected  published 12\n" in _page(status() | {"mirror": well})
    ill = well | {"connected": False, "dropped": 3, "refused": 1, "last_error": "no broker"}
    assert ("mirror: NOT CONNECTED  published 12  DROPPED 3  REFUSED 1  (no broker)\n") in _page(
        status() | {"mirror": ill}
    )
