"""hearth: the daemon of a home gateway for people who live alone."""

__version__ = "0.1.0"
