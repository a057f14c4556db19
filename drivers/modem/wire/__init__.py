"""Bytes to and from a modem. Pure."""
