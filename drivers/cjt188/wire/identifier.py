"""The data identifier DI: what is asked for, in either order of its bytes. Pure.

    901F         the reading                  810A         the address
    D120 - D12B  totals of the last 12 months A017         the valve
    D300 - D3FF  timed freezes (2018)         D400 - D4FF  freezes at command (2018)

The edition of 2004 is read as high byte first (90 1F), that of 2018 as low byte first (1F 90):
ng-gateway.com, "address-di". In the field the order does not follow the edition: the most copied
example of the 2004 edition has 1F 90 for the reading and A0 17 for the valve. So the order is a
property of a meter, and it is probed; for the valve again.
"""

from __future__ import annotations

from typing import Literal, get_args

DiOrder = Literal["low-first", "high-first"]
DI_ORDERS: tuple[DiOrder, ...] = get_args(DiOrder)

DI_READING = 0x901F
DI_ADDRESS = 0x810A
DI_VALVE = 0xA017
DI_MONTHS = 0xD120
DI_TIMED_FREEZES = 0xD300
DI_FREEZES_AT_COMMAND = 0xD400


def encode_di(identifier: int, order: DiOrder) -> bytes:
    """An identifier as two bytes."""
    return identifier.to_bytes(2, "little" if order == "low-first" else "big")


def decode_di(data: bytes, order: DiOrder) -> int:
    """The identifier in the first two bytes."""
    return int.from_bytes(data[:2], "little" if order == "low-first" else "big")


def other_order(order: DiOrder) -> DiOrder:
    """The order that is not this one."""
    return "high-first" if order == "low-first" else "low-first"
