"""Orders from upstream: signed there, judged here, carried out once, and answered.

`docs/commands.md` is the specification.

    wire.py        bytes to Command and Reply and back; pure
    signature.py   Ed25519; sole importer of its library
    keys.py        the files that keys are in
    ledger.py      which ids were begun, and what became of them; on flash
    dispatcher.py  from a message to its reply

`wire` and `signature` are used at both ends of the line, so neither of them, nor this file, loads
anything that belongs to a gateway alone.
"""
