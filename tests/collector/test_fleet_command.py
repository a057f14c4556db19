"""`hearth fleet`: what it shows, in which order, in both languages, and what its exit code says."""

from __future__ import annotations

import json
import time

import pytest
from brokers import event_of
from rich.cells import cell_len
from store_kit import events

from collector.condition import condition_of, conditions_of
from collector.fleet import GatewayFacts
from collector.storage import words
from collector.store import open_store
from gateway.cli.main import main
from gateway.model import Event, Kind, Measurement

NOW_MS = 1_800_000_000_000
DAY_S = 86_400


def facts(gateway="g", heard_s=10, **more):
    return GatewayFacts(gateway, 1, NOW_MS - 1000 * heard_s, 90.0, **more)


def test_quiet_is_longer_than_it_said():
    assert not condition_of(facts(heard_s=90), NOW_MS).quiet
    assert condition_of(facts(heard_s=91), NOW_MS).quiet


def test_a_gateway_of_which_nobody_knows_when_is_quiet():
    it = condition_of(GatewayFacts("g", 1, 0), NOW_MS)
    assert (it.quiet, it.silent_s, it.needs_attention) == (True, None, True)


def test_a_clock_that_went_back_makes_nobody_quiet():
    it = condition_of(facts(heard_s=-100), NOW_MS)
    assert (it.quiet, it.silent_s) == (False, 0.0)


def test_what_needs_attention():
    assert condition_of(facts(faults=(("d", "battery"),)), NOW_MS).needs_attention
    assert not condition_of(facts(offline=("band-1",)), NOW_MS).needs_attention


def test_the_worst_come_first():
    fleet = [
        facts("well-b"),
        facts("well-a"),
        facts("offline", offline=("band-1",)),
        facts("fault", faults=(("d", "x"),)),
        facts("faults", faults=(("d", "x"), ("d", "y"))),
        facts("quiet", heard_s=100),
        facts("quiet-for-long", heard_s=1000),
        GatewayFacts("never", 1, 0),
    ]
    assert [it.facts.gateway for it in conditions_of(fleet, NOW_MS)] == [
        *("never", "quiet-for-long", "quiet", "faults", "fault", "offline", "well-a", "well-b"),
    ]


# --- the command ---------------------------------------------------------------------------------


def said(seq, kind, device="gateway", **detail):
    measurements = tuple(
        Measurement(name, detail.pop(name))
        for name in ("backlog_urgent", "backlog_routine")
        if name in detail
    )
    stamp = event_of(seq).stamp
    return Event(kind, device, stamp, measurements, {}, detail)


@pytest.fixture
def commit(store_url, monkeypatch):
    """Stores what a gateway says, so many seconds ago."""

    def commit(gateway, *told, ago_s=0):
        journal = gateway.encode().ljust(16, b"\0")[:16]
        then_ns = time.time_ns() - ago_s * 10**9
        store = open_store(store_url)
        with monkeypatch.context() as patch:
            patch.setattr(words.time, "time_ns", lambda: then_ns)
            store.commit([events(*told, gateway=gateway, journal=journal)], [])
        store.close()

    return commit


@pytest.fixture
def fleet(commit):
    commit(
        "home-well",
        said(1, Kind.GATEWAY, state="started", version="0.1.0"),
        said(
            2, Kind.GATEWAY, state="alive", quiet_after_s=3600, backlog_urgent=0, backlog_routine=7
        ),
    )
    commit("home-gone", said(1, Kind.GATEWAY, state="alive", quiet_after_s=3600), ago_s=DAY_S)
    commit(
        "home-broken",
        said(1, Kind.GATEWAY, state="alive", quiet_after_s=3600),
        said(2, Kind.FAULT, "meter-厨房", fault="overloaded", active=True),
        said(3, Kind.DEVICE, "band-1", state="offline"),
    )


def run(url, *more, language="en", monkeypatch):
    monkeypatch.setenv("HEARTH_LANG", language)
    return main(["fleet", "--store", url, *more])


def test_the_table(fleet, store_url, capsys, monkeypatch):
    assert run(store_url, monkeypatch=monkeypatch) == 1
    heads, gone, broken, well, last = capsys.readouterr().out.splitlines()
    assert heads.split() == [
        *("gateway", "verdict", "last", "heard", "clock", "backlog", "version", "faults"),
        *("devices", "offline"),
    ]
    assert gone.startswith("home-gone")
    assert "QUIET" in gone
    assert "(24 h ago)" in gone
    assert "FAULT" in broken
    assert "meter-厨房: overloaded" in broken
    assert broken.endswith("band-1")
    assert well.split()[:2] == ["home-well", "well"]
    assert "0/7" in well
    assert "0.1.0" in well
    assert last == "2 of 3 gateways need attention"


def test_the_table_in_chinese_keeps_its_columns(fleet, store_url, capsys, monkeypatch):
    run(store_url, language="zh", monkeypatch=monkeypatch)
    heads, gone, broken, well, last = capsys.readouterr().out.splitlines()
    for head, cells in (("时钟", ("已校准",) * 3), ("版本", ("-", "-", "0.1.0"))):
        column = cell_len(heads[: heads.index(head)])
        for row, cell in zip((gone, broken, well), cells, strict=True):
            assert _from(row, column).startswith(cell), (row, head)
    assert last == "3 个网关中有 2 个需要关注"


def _from(row, column):
    """The rest of a row from a column of the screen on."""
    return next(row[n:] for n in range(len(row)) if cell_len(row[:n]) == column)


def test_only_those_that_need_attention(fleet, store_url, capsys, monkeypatch):
    assert run(store_url, "--attention", "--json", monkeypatch=monkeypatch) == 1
    gone, broken = json.loads(capsys.readouterr().out)
    assert (gone["gateway"], gone["quiet"], gone["quiet_after_s"]) == ("home-gone", True, 3600.0)
    assert gone["silent_s"] >= DAY_S
    assert broken["faults"] == [{"device": "meter-厨房", "fault": "overloaded"}]
    assert (broken["offline"], broken["needs_attention"]) == (["band-1"], True)


def test_all_is_well(commit, store_url, capsys, monkeypatch):
    commit("home", said(1, Kind.GATEWAY, state="alive"))
    assert run(store_url, monkeypatch=monkeypatch) == 0
    assert "all 1 gateways are heard, and none has a fault" in capsys.readouterr().out
    assert run(store_url, "--attention", "--json", monkeypatch=monkeypatch) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_nobody_yet(store_url, capsys, monkeypatch):
    assert run(store_url, monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == "no gateway has sent anything yet\n"


def test_what_a_gateway_calls_itself_does_not_steer_the_terminal(
    commit, store_url, capsys, monkeypatch
):
    commit("home", said(1, Kind.FAULT, "\x1b[2J\n", fault="\x07", active=True))
    run(store_url, monkeypatch=monkeypatch)
    out = capsys.readouterr().out
    assert not {"\x1b", "\x07"} & set(out)
    assert len(out.splitlines()) == 3
