"""What a connection costs on the wire, as the kernel counts it."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

# struct tcp_info (linux/tcp.h) up to tcpi_bytes_retrans: fields only ever were added at its end.
_TCP_INFO_BYTES = 216
_BYTES_RECEIVED = 128  # u64
_SEGMENTS = 136  # u32 out, u32 in
_BYTES_SENT = 200  # u64, with what was sent again; since Linux 4.19
# Head of a packet: IPv4 20 or IPv6 40, TCP 20 with 12 of timestamps, which Linux asks for.
_HEAD_BYTES = {socket.AF_INET: 52, socket.AF_INET6: 72}


class Traffic(NamedTuple):
    """Bytes of one connection since it began, with the heads of its packets."""

    sent_bytes: int = 0
    received_bytes: int = 0


def traffic_of(sock: socket.socket) -> Traffic | None:
    """What went over an open socket; None if the system does not say."""
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        return None
    if len(info) < _BYTES_SENT + 8:
        return None
    (received,) = struct.unpack_from("=Q", info, _BYTES_RECEIVED)
    segments_out, segments_in = struct.unpack_from("=II", info, _SEGMENTS)
    (sent,) = struct.unpack_from("=Q", info, _BYTES_SENT)
    head = _HEAD_BYTES.get(sock.family, _HEAD_BYTES[socket.AF_INET6])
    return Traffic(sent + head * segments_out, received + head * segments_in)
