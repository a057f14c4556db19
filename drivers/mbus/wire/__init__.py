"""M-Bus (EN 13757-2 and -3), the protocol of European meters: a codec without I/O.

Bytes in, frames and values out; nothing here knows a port or a clock, and bytes from outside raise
nothing but DecodeError.

    frame.py            frames, checksum, finding them in noise
    requests.py         what is asked
    answer.py           the answer to one request in what was heard
    identification.py   who a meter is, and masks
    header.py           the head of a telegram, the status byte
    telegram.py         a whole telegram
    record.py           its records, of
        dif.py          which counter
        vif.py          what quantity, by the tables in quantities.py
        values.py       numbers and texts
        times.py        dates and times
    fixed.py            the older structure of two counters

What is sure and what is not is in each file's head, and together in docs/mbus.md.
"""

from drivers.mbus.wire.answer import Ack, AckAnswer, DataAnswer, telegrams, who_says
from drivers.mbus.wire.dif import FUNCTIONS, MAKER, MAKER_AND_MORE, Dib, Function, encode_dib
from drivers.mbus.wire.fixed import decode_fixed
from drivers.mbus.wire.frame import ACK, LONGEST_FRAME, Frame, decode_frame, encode, split_frames
from drivers.mbus.wire.header import Header, Status, decode_header, encode_header
from drivers.mbus.wire.identification import (
    EVERY_METER,
    IDENTIFICATION,
    Identification,
    decode_identification,
    encode_identification,
    narrower,
    parse_identification,
)
from drivers.mbus.wire.record import Record, Records, Value, decode_records, encode_record
from drivers.mbus.wire.requests import (
    ANYBODY,
    CI_RESET,
    CI_SELECT,
    EVERYBODY,
    FCB,
    MOST_ADDRESS,
    REQ_UD2,
    SELECTED,
    SND_NKE,
    SND_UD,
    ask,
    begin,
    reset_application,
    select,
)
from drivers.mbus.wire.telegram import (
    Refusal,
    Telegram,
    decode_telegram,
    encode_application_error,
    encode_telegram,
)
from drivers.mbus.wire.times import encode_date, encode_time
from drivers.mbus.wire.values import encode_number, encode_text
from drivers.mbus.wire.vif import BACKWARD_FLOW

__all__ = [
    "ACK",
    "ANYBODY",
    "BACKWARD_FLOW",
    "CI_RESET",
    "CI_SELECT",
    "EVERYBODY",
    "EVERY_METER",
    "FCB",
    "FUNCTIONS",
    "IDENTIFICATION",
    "LONGEST_FRAME",
    "MAKER",
    "MAKER_AND_MORE",
    "MOST_ADDRESS",
    "REQ_UD2",
    "SELECTED",
    "SND_NKE",
    "SND_UD",
    "Ack",
    "AckAnswer",
    "DataAnswer",
    "Dib",
    "Frame",
    "Function",
    "Header",
    "Identification",
    "Record",
    "Records",
    "Refusal",
    "Status",
    "Telegram",
    "Value",
    "ask",
    "begin",
    "decode_fixed",
    "decode_frame",
    "decode_header",
    "decode_identification",
    "decode_records",
    "decode_telegram",
    "encode",
    "encode_application_error",
    "encode_date",
    "encode_dib",
    "encode_header",
    "encode_identification",
    "encode_number",
    "encode_record",
    "encode_telegram",
    "encode_text",
    "encode_time",
    "narrower",
    "parse_identification",
    "reset_application",
    "select",
    "split_frames",
    "telegrams",
    "who_says",
]
