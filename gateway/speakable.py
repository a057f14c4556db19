"""What may be said aloud: texts come from upstream, and a person hears what is made of them."""

from __future__ import annotations

import unicodedata

# Half a minute of speech. Nobody remembers more, and a call must not wait for its end, even
# though it interrupts.
MAX_SPOKEN = 200
# Characters that cannot be heard and may mean something to an engine or a terminal: control,
# format (such as those that turn the direction of writing), surrogates, private use, unassigned.
_UNHEARD = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def speakable(text: object, most: int = MAX_SPOKEN) -> str:
    """Why this cannot be said; empty if it can.

    Args:
        text: whatever came.
        most: characters.
    """
    if not isinstance(text, str):
        return f"{type(text).__name__} is no text"
    if len(text) > most:
        return f"{len(text)} characters; {most} is the most"
    for character in text:
        if unicodedata.category(character) in _UNHEARD:
            return f"U+{ord(character):04X} cannot be said"
    if not any(character.isalnum() for character in text):
        return "nothing in it can be said"
    return ""
