"""Orders from upstream: signed there, judged here, carried out once, and answered.

`docs/commands.md` is the specification.

    wire.py        bytes to Command and Reply and back; pure
    ledger.py      which ids were begun, and what became of them; on flash
    dispatcher.py  from a message to its reply

`wire` is used at both ends of the line, so neither it nor this file loads anything that belongs to
a gateway alone.
"""
