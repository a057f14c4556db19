"""Virtual hardware that ships beside the real: chosen by a hardware address `sim:<socket>`."""
