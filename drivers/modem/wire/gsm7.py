"""The GSM 7 bit default alphabet and its extension (3GPP TS 23.038, 6.2.1), packed into octets."""

from __future__ import annotations

from gateway.errors import DecodeError

_ESCAPE = 0x1B
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = {
    0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]",
    0x40: "|", 0x65: "€",
}  # fmt: skip
_SEPTETS: dict[str, tuple[int, ...]] = {
    letter: (code,) for code, letter in enumerate(_BASIC) if code != _ESCAPE
} | {letter: (_ESCAPE, code) for code, letter in _EXTENSION.items()}


def septets_of(letter: str) -> tuple[int, ...] | None:
    """One or two septets; None if the alphabet has no such letter."""
    return _SEPTETS.get(letter)


def text_of(septets: list[int]) -> str:
    """The letters of septets; DecodeError if an escape leads nowhere."""
    letters = []
    rest = iter(septets)
    for code in rest:
        letter = _EXTENSION.get(next(rest, -1)) if code == _ESCAPE else _BASIC[code]
        if letter is None:
            raise DecodeError("an escape to no letter")
        letters.append(letter)
    return "".join(letters)


def pack(septets: list[int], fill_bits: int = 0) -> bytes:
    """Septets as octets, low bits first, after so many bits of nothing."""
    bits = 0
    for number, septet in enumerate(septets):
        bits |= septet << (fill_bits + 7 * number)
    return bits.to_bytes((fill_bits + 7 * len(septets) + 7) // 8, "little")


def unpack(octets: bytes, count: int, fill_bits: int = 0) -> list[int]:
    """So many septets; DecodeError if there are fewer."""
    if fill_bits + 7 * count > 8 * len(octets):
        raise DecodeError("fewer septets than announced")
    bits = int.from_bytes(octets, "little") >> fill_bits
    return [bits >> (7 * number) & 0x7F for number in range(count)]
