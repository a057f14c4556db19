"""What is looked at on the gateway itself: time, disk, files, configuration, the running daemon."""

from __future__ import annotations

from pathlib import Path

import pytest
from found import FAULT, OK, WARNING, levels, only

from gateway.doctor import room, surroundings
from gateway.doctor.configuration import look_at_configuration, read_on
from gateway.doctor.room import look_at_journal
from gateway.doctor.running import findings_of, look_at_daemon
from gateway.doctor.secrets import look_at_files
from gateway.doctor.surroundings import clock, look_around, zone
from gateway.model import TimeQuality
from gateway.settings import JournalSettings, UplinkSettings, parse

HEAD = '[gateway]\nid = "g"\n[uplink]\nurl = "mqtts://h"\n'

# --- the machine ---------------------------------------------------------------------------------


def test_a_clock_that_nobody_set_is_a_warning():
    assert clock(TimeQuality.SYNCHRONISED).level is OK
    only([clock(TimeQuality.UNKNOWN)], WARNING, "not synchronised")


def test_utc_is_no_time_zone_of_a_home_but_that_of_accra_is():
    only([zone("UTC", 0)], WARNING, "UTC")
    assert zone("GMT", 0).level is OK
    assert zone("CST", -8 * 3600).level is OK


@pytest.mark.parametrize(
    ("uid", "user", "told"), [(0, "root", 1), (0, "no-such", 0), (5, "root", 0)]
)
def test_root_is_told_that_it_sees_more_than_the_daemon(monkeypatch, uid, user, told):
    monkeypatch.setattr(surroundings.os, "geteuid", lambda: uid)
    monkeypatch.setattr(surroundings, "USER", user)
    found = [it for it in look_around() if it.about == "user"]
    assert len(found) == told


# --- the disk ------------------------------------------------------------------------------------


def journal(path: Path, quota: str = "2 MiB") -> JournalSettings:
    return JournalSettings(path=str(path), quota=quota)


def test_a_folder_that_is_still_to_be_made(tmp_path):
    only(look_at_journal(journal(tmp_path / "a" / "b")), OK, "room for 2.0 MiB")
    assert not (tmp_path / "a").exists()


def test_room_that_the_journal_has_taken_already_is_not_missed(tmp_path, monkeypatch):
    (tmp_path / "segment").write_bytes(b"x" * (3 << 20))
    monkeypatch.setattr(room.OsFiles, "free_bytes", lambda *_: 0)
    only(look_at_journal(journal(tmp_path)), OK, "room")
    finding = only(look_at_journal(journal(tmp_path, "8 MiB")), FAULT, "5.0 MiB short")
    assert "quota" in finding.hint.english


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "journal").touch()
    only(look_at_journal(journal(tmp_path / "journal")), FAULT, "is no folder")


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(room.os, "access", lambda *_: False)
    only(look_at_journal(journal(tmp_path)), FAULT, "cannot be written")


def test_a_disk_that_does_not_answer(tmp_path, monkeypatch):
    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(room.OsFiles, "free_bytes", fail)
    only(look_at_journal(journal(tmp_path)), FAULT, "Input/output error")


# --- files ---------------------------------------------------------------------------------------


def uplink(**files: Path) -> UplinkSettings:
    return UplinkSettings("mqtt://127.0.0.1", **{key: str(path) for key, path in files.items()})


def test_no_files_are_nothing_to_talk_of():
    assert look_at_files(uplink()) == []


def test_files_as_they_must_be(tmp_path):
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o640)
    only(look_at_files(uplink(password_file=password)), OK, "password_file")


@pytest.mark.parametrize("key", ["key", "password_file"])
def test_a_secret_that_everybody_reads(tmp_path, key):
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o644)
    finding = only(look_at_files(uplink(**{key: secret})), FAULT, "open to every user")
    assert (finding.about, "chmod" in finding.hint.english) == (f"uplink.{key}", True)


def test_files_that_are_missing_each(tmp_path):
    found = look_at_files(uplink(ca=tmp_path / "ca", cert=tmp_path / "cert"))
    assert [it.about for it in found] == ["uplink.ca", "uplink.cert"]
    assert all("No such file" in it.what.english for it in found)


def test_contents_that_will_not_do(tmp_path):
    (tmp_path / "empty").touch(0o600)
    only(look_at_files(uplink(password_file=tmp_path / "empty")), FAULT, "holds no password")
    settings = UplinkSettings("mqtts://h", ca=str(tmp_path / "empty"))
    only(look_at_files(settings), FAULT, "cannot be loaded")


# --- the configuration ---------------------------------------------------------------------------


def test_a_home_in_which_nobody_answers_and_nothing_listens():
    settings = parse(HEAD + '[[bus]]\nid = "b"\nport = "p"\n')
    planned, found = look_at_configuration(settings)
    assert planned == []
    assert levels(found) == [OK, WARNING, WARNING, WARNING]
    assert [it.about for it in found] == ["configuration", "configuration", "bus b", "commands"]
    assert "nobody can take a call" in found[-1].what.english


def test_every_fault_that_check_finds():
    text = (
        HEAD
        + 'ack_keys = ["/nowhere"]\n[commands]\nkeys = ["/nowhere"]\n[[device]]\nid = "a"\ndriver = "buton"\n'
    )
    settings = parse(text)
    _, found = look_at_configuration(settings)
    assert [it.what.english for it in found] == read_on(settings)[1]
    assert levels(found) == [FAULT, FAULT, FAULT]
    assert "uplink.ack_keys: /nowhere: No such file" in found[-1].what.english


# --- the daemon ----------------------------------------------------------------------------------

LANE = {"backlog": 0, "failed": "", "unwritten": 0}


def status(**changes: object) -> dict:
    return {
        "testing": False,
        "calls": [],
        "uplink": {"connected": True, "last_error": "", "hint": ""},
        "journal": {"lanes": {"urgent": LANE, "routine": LANE}, "trouble": [], "set_aside": []},
        "devices": {},
    } | changes


def about(name: str, **changes: object) -> list:
    return [it for it in findings_of(status(**changes)) if it.about == name]


def test_a_daemon_that_is_well():
    assert levels(findings_of(status())) == [OK, OK, OK]


def test_test_mode_and_open_calls_are_told():
    _, mode = about("daemon", testing=True)
    assert mode.hint.english == "hearth test 0"
    call = {"call": "c1", "device": "bed", "state": None}
    only(about("bed", calls=[call]), WARNING, "call c1 is open")


def test_an_uplink_that_is_not_there_with_what_waits():
    lanes = {"urgent": LANE | {"backlog": 2}, "routine": LANE | {"backlog": 5}}
    journal = {"lanes": lanes, "trouble": [], "set_aside": []}
    down = {"connected": False, "last_error": "refused", "hint": "is the port right?"}
    found = about("uplink", uplink=down, journal=journal)
    only(found, FAULT, "7 events wait: refused")
    assert found[0].hint.english == "is the port right?"


def test_flash_that_fails_and_what_was_met_at_the_start():
    lanes = {"urgent": LANE, "routine": LANE | {"failed": "Errno 30", "unwritten": 3}}
    journal = {"lanes": lanes, "trouble": ["meta was rebuilt"], "set_aside": ["0003.damaged"]}
    found = about("journal", journal=journal)
    assert levels(found) == [FAULT, WARNING, WARNING]
    assert "3 routine events are in memory only: Errno 30" in found[0].what.english


@pytest.mark.parametrize(
    ("state", "level"),
    [("online", OK), ("starting", WARNING), ("offline", FAULT), ("failed", FAULT)],
)
def test_each_device_with_its_reason(state, level):
    finding = only(about("m", devices={"m": {"state": state, "reason": "why"}}), level, "")
    assert ("why" in finding.what.chinese) == (level is FAULT)


def test_no_daemon(tmp_path):
    only(look_at_daemon(str(tmp_path / "none.sock")), WARNING, "does not answer")
