"""JSON Schemas of the makers' profiles, for editors that check TOML. Made from what reads them.

    python tests/drivers/profile_schema.py        writes config/profiles/*.schema.json

An editor with taplo (Even Better TOML in VS Code) finds a schema by the first line of a profile,
`#:schema ../modbus.schema.json`.
"""

import json
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "config" / "profiles"


def schemas():
    """Name of each kind of profile, and its schema as text."""
    from drivers.cjt188 import profile as cjt188
    from drivers.modbus import profile as modbus

    yield "cjt188", schema("cjt188", cjt188.Head, "bit", cjt188.Bit)
    yield "modbus", schema("modbus", modbus.Head, "register", modbus.Register)


def schema(kind, head, section, item):
    fields = [("profile", head), (section, list[item])]
    whole = msgspec.defstruct(f"{kind}_profile", fields, forbid_unknown_fields=True)
    made = {"$schema": "http://json-schema.org/draft-07/schema#", **msgspec.json.schema(whole)}
    return json.dumps(as_draft_07(made), indent=1, ensure_ascii=False) + "\n"


def as_draft_07(node):
    """What editors understand: `definitions`, and patterns that end as JavaScript's do."""
    if isinstance(node, dict):
        return {("definitions" if k == "$defs" else k): as_draft_07(v) for k, v in node.items()}
    if isinstance(node, list):
        return [as_draft_07(item) for item in node]
    if isinstance(node, str):
        return node.replace("#/$defs/", "#/definitions/").replace(r"\Z", "$")
    return node


def path(kind):
    return FOLDER / f"{kind}.schema.json"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    for name, text in schemas():
        path(name).write_text(text, "utf-8")
