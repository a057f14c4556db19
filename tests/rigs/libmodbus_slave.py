"""A slave that is not ours: libmodbus, in a process of its own.

    python libmodbus_slave.py rtu /dev/pts/3 7      unit 7 at 115200 8N1
    python libmodbus_slave.py tcp                   any unit, at a port of its choice

It says `ready` when it listens, and at which TCP port. Holding register a and input register a begin with 100 + a and
200 + a; every third coil and every second input is on.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import socket
import sys

PLACES = 64
LONGEST = 260  # MODBUS_TCP_MAX_ADU_LENGTH


class Mapping(ctypes.Structure):
    """modbus_mapping_t."""

    _fields_ = [
        *((name, ctypes.c_int) for name in (
            "nb_bits", "start_bits", "nb_input_bits", "start_input_bits",
            "nb_input_registers", "start_input_registers", "nb_registers", "start_registers",
        )),
        ("tab_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_registers", ctypes.POINTER(ctypes.c_uint16)),
        ("tab_registers", ctypes.POINTER(ctypes.c_uint16)),
    ]  # fmt: skip


def library() -> ctypes.CDLL | None:
    """libmodbus; None if it is not installed."""
    name = ctypes.util.find_library("modbus")
    if name is None:
        return None
    lib = ctypes.CDLL(name, use_errno=True)
    lib.modbus_new_rtu.restype = lib.modbus_new_tcp.restype = ctypes.c_void_p
    lib.modbus_mapping_new.restype = ctypes.POINTER(Mapping)
    lib.modbus_strerror.restype = ctypes.c_char_p
    return lib


def filled(lib: ctypes.CDLL) -> ctypes._Pointer[Mapping]:
    mapping = lib.modbus_mapping_new(PLACES, PLACES, PLACES, PLACES)
    for place in range(PLACES):
        mapping.contents.tab_registers[place] = 100 + place
        mapping.contents.tab_input_registers[place] = 200 + place
        mapping.contents.tab_bits[place] = place % 3 == 0
        mapping.contents.tab_input_bits[place] = place % 2 == 0
    return mapping


def check(lib: ctypes.CDLL, result: int) -> None:
    if result == -1:
        sys.exit(f"libmodbus: {lib.modbus_strerror(ctypes.get_errno()).decode()}")


def connected(lib: ctypes.CDLL, kind: str, *where: str) -> ctypes.c_void_p:
    """A context that has its line, or its one connection."""
    if kind == "rtu":
        port, unit = where
        raw = lib.modbus_new_rtu(port.encode(), 115_200, ctypes.c_char(b"N"), 8, 1)
        context = ctypes.c_void_p(raw)
        check(lib, lib.modbus_set_slave(context, int(unit)))
        check(lib, lib.modbus_connect(context))
        print("ready", flush=True)
        return context
    context = ctypes.c_void_p(lib.modbus_new_tcp(b"127.0.0.1", 0))
    listening = lib.modbus_tcp_listen(context, 1)
    check(lib, listening)
    with socket.socket(fileno=os.dup(listening)) as shown:
        print("ready", shown.getsockname()[1], flush=True)
    check(lib, lib.modbus_tcp_accept(context, ctypes.byref(ctypes.c_int(listening))))
    return context


def main() -> None:
    lib = library()
    if lib is None:
        sys.exit("libmodbus is not installed")
    mapping = filled(lib)
    context = connected(lib, *sys.argv[1:])
    query = (ctypes.c_uint8 * LONGEST)()
    while True:
        length = lib.modbus_receive(context, query)
        if length > 0:
            lib.modbus_reply(context, query, length, mapping)
        elif length == -1 and sys.argv[1] == "tcp":
            return  # the connection is closed


if __name__ == "__main__":
    main()
