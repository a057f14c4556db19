"""Shipped data is found in the right order, and nothing else is."""

import pytest

from gateway import resources
from gateway.errors import SettingsError


def roots(tmp_path, *holders):
    made = []
    for name in ("etc", "share", "config"):
        root = tmp_path / name
        (root / "profiles").mkdir(parents=True)
        if name in holders:
            (root / "profiles" / "x.toml").write_text(name)
        made.append(root)
    return made


@pytest.mark.parametrize(
    ("holders", "expected"),
    [(["etc", "share", "config"], "etc"), (["share", "config"], "share"), (["config"], "config")],
)
def test_order(tmp_path, holders, expected):
    found = resources.find("profiles/x.toml", roots(tmp_path, *holders))
    assert found.read_text() == expected


def test_a_checkout_has_the_profiles():
    assert resources.find("profiles/modbus/xintai.toml").is_file()


def test_absent(tmp_path):
    with pytest.raises(SettingsError, match=r"profiles/x\.toml: not found") as caught:
        resources.find("profiles/x.toml", roots(tmp_path))
    assert str(tmp_path / "etc") in caught.value.hint


@pytest.mark.parametrize(
    "name", ["../x", "profiles/../../x", "/etc/passwd", "a//b", "", ".", "a\nb", "a/b\n", "p/ä"]
)
def test_names_that_lead_elsewhere(name):
    with pytest.raises(SettingsError, match="no name of shipped data"):
        resources.find(name)
