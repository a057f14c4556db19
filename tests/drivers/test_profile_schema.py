"""The schemas that editors check profiles by are those of the code that reads them."""

import json
import re
import tomllib

import profile_schema
import pytest

KINDS = dict(profile_schema.schemas())


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_is_what_the_code_says(kind):
    written = profile_schema.path(kind).read_text("utf-8")
    assert written == KINDS[kind], "python tests/drivers/profile_schema.py writes it anew"


@pytest.mark.parametrize("kind", KINDS)
def test_patterns_are_those_of_json_schema(kind):
    assert r"\Z" not in KINDS[kind]
    assert json.loads(KINDS[kind])["definitions"]


def patterns(node):
    if isinstance(node, dict):
        yield from ([node["pattern"]] if "pattern" in node else [])
        for value in node.values():
            yield from patterns(value)
    elif isinstance(node, list):
        for value in node:
            yield from patterns(value)


@pytest.mark.parametrize("kind", KINDS)
def test_patterns_compile(kind):
    assert all(re.compile(pattern) for pattern in patterns(json.loads(KINDS[kind])))


@pytest.mark.parametrize(
    "profile", sorted((profile_schema.FOLDER / "modbus").glob("*.toml")), ids=lambda it: it.stem
)
def test_shipped_profiles_name_their_schema_and_only_its_keys(profile):
    text = profile.read_text("utf-8")
    assert text.startswith("#:schema ../modbus.schema.json\n")
    known = json.loads(KINDS["modbus"])["definitions"]
    tables = tomllib.loads(text)
    assert tables["profile"].keys() <= known["Head"]["properties"].keys()
    for register in tables["register"]:
        assert register.keys() <= known["Register"]["properties"].keys()
        assert {*known["Register"]["required"]} <= register.keys()
