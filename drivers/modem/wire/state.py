"""What a modem says about its card, its network and its signal."""

from __future__ import annotations

import re

# AT+CREG?, AT+CEREG?: at home, roaming; the same for text messages alone
REGISTERED = frozenset({1, 5, 6, 7})

_REGISTRATIONS = {
    0: "it is in no network and looks for none",
    2: "it looks for a network",
    3: "the network refuses this SIM card",
}
_NETWORK_HINTS = {
    0: "is the aerial screwed on, and is there a network here?",
    2: "is the aerial screwed on, and is there a network here?",
    3: "is the contract paid, and does the network still have this generation (2G, 4G)?",
}
# AT+CPIN?, and +CME ERROR with AT+CMEE=1 (3GPP TS 27.007, 9.2)
_CARDS = {
    "SIM PIN": "the SIM card asks for its PIN",
    "SIM PUK": "the SIM card is locked",
    "+CME ERROR: 10": "no SIM card",
    "+CME ERROR: 11": "the SIM card asks for its PIN",
    "+CME ERROR: 12": "the SIM card is locked",
    "+CME ERROR: 13": "the SIM card failed",
    "+CME ERROR: 14": "the SIM card is busy",
    "+CME ERROR: 15": "a wrong SIM card",
}
_CARD_HINTS = {
    "SIM PIN": "put the card into a telephone and switch its PIN off",
    "SIM PUK": "its PUK is in the contract; a telephone takes it",
    "+CME ERROR: 10": "put a SIM card in, the right way round, with the modem off",
    "+CME ERROR: 11": "put the card into a telephone and switch its PIN off",
    "+CME ERROR: 12": "its PUK is in the contract; a telephone takes it",
}


def card_trouble(word: str) -> tuple[str, str]:
    """What a card that is not READY is, and what to do."""
    return _CARDS.get(word, f"the SIM card is not ready: {word}"), _CARD_HINTS.get(word, "")


def network_trouble(state: int | None) -> tuple[str, str]:
    """What a registration that is none is, and what to do."""
    if state is None:
        return "it does not say whether it is in a network", ""
    return _REGISTRATIONS.get(state, "it is in no network"), _NETWORK_HINTS.get(state, "")


def registration(line: str) -> int | None:
    """Of `0,1` or `2,1,"00C3",...`; None of anything else."""
    match = re.match(r"\d,(\d)\b", line)
    return int(match[1]) if match else None


def signal_dbm(line: str) -> int | None:
    """Of `23,99` (AT+CSQ); None if the modem does not know."""
    match = re.match(r"(\d{1,2}),", line)
    if not match or int(match[1]) > 31:
        return None
    return 2 * int(match[1]) - 113
