"""What the configuration says about one loudspeaker."""

from __future__ import annotations

from typing import Annotated

import msgspec

Argument = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Command = Annotated[tuple[Argument, ...], msgspec.Meta(max_length=32)]


class SpeakerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sound card, who makes speech of text, and who plays it."""

    device: Argument = "default"  # of ALSA, as `aplay -L` lists them
    # Reads text (UTF-8) from its standard input and writes a WAV to its standard output. Empty is
    # espeak-ng. `{language}` in an argument becomes zh or en.
    engine: Command = ()
    player: Command = ()  # plays a WAV from its standard input; empty is aplay on `device`
    # Words a minute of espeak-ng. Its own 175 are too fast for old ears.
    speed: Annotated[int, msgspec.Meta(ge=80, le=450)] = 140
    sounds: Argument = "/var/lib/hearth/sounds"  # folder of what `hearth phrases render` made
