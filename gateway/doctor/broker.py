"""The way to the broker, step by step: its name, a connection, TLS. Nobody logs in."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.errors import SettingsError
from gateway.finding import Finding, Words, fault, ok, warning
from gateway.uplink.credentials import out_of_sight, tls_context_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.settings import UplinkSettings

# A fitter waits for each step. A connection over a mobile network in poor reception takes three.
STEP_S = 5.0

_ABOUT = "uplink"
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_NETWORK = Words(
    "is the network up? ip address; ping the router", "网络是否连通？试 ip address，并 ping 路由器"
)


def look_at_broker(settings: UplinkSettings) -> Iterator[Finding]:
    """One finding a step; after the first fault there are no more steps."""
    url = urlsplit(settings.url)
    host, port = url.hostname or "", url.port or _PORTS[url.scheme]
    if url.scheme == "mqtt" and settings.allow_plaintext:
        yield warning("not encrypted", "未加密", hint=Words.same("mqtts://"), about=_ABOUT)
    if (lost := resolve(host, port)) is not None:
        yield lost
        return
    try:
        connection = socket.create_connection((host, port), STEP_S)
    except OSError as error:
        yield _refused(f"{host}:{port}", error)
        return
    with connection:
        yield ok(f"{host}:{port} takes connections", f"{host}:{port} 可以连接", about=_ABOUT)
        if url.scheme == "mqtts":
            yield _shake_hands(settings, connection, host)


def resolve(host: str, port: int) -> Finding | None:
    """What is wrong with the name of the broker, if anything is.

    The resolver knows no time limit of ours, so it is left behind on a thread.
    """
    outcome: list[str] = []

    def ask() -> None:
        try:
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # the latter for a label of 64 characters
            outcome.append(str(error))
        else:
            outcome.append("")

    thread = threading.Thread(target=ask, name="resolver", daemon=True)
    thread.start()
    thread.join(STEP_S)
    if outcome == [""]:
        return None
    why = outcome[0] if outcome else f"no answer within {STEP_S:g} s"
    return fault(
        f"the name {host} does not resolve: {why}",
        f"无法解析主机名 {host}：{why}",
        hint=Words(
            "look at the name, at the network and at DNS: resolvectl query",
            "请检查主机名、网络和 DNS：resolvectl query",
        ),
        about=_ABOUT,
    )


def _refused(where: str, error: OSError) -> Finding:
    if isinstance(error, ConnectionRefusedError):
        hint = Words(
            "the machine is there and nobody listens; is the port right?",
            "主机可达，但该端口无人监听；端口是否正确？",
        )
    else:
        hint = _NETWORK
    why = f"no answer within {STEP_S:g} s" if isinstance(error, TimeoutError) else str(error)
    return fault(f"{where}: {why}", f"{where} 无法连接：{why}", hint=hint, about=_ABOUT)


def _shake_hands(settings: UplinkSettings, connection: socket.socket, host: str) -> Finding:
    kept = [name for name in ("ca", "cert", "key") if out_of_sight(getattr(settings, name))]
    if kept:
        names = ", ".join(kept)
        return warning(
            f"TLS was not tried: only the service sees these credentials: {names}",
            f"未尝试 TLS：以下凭据仅服务自身可见：{names}",
            hint=Words("hearth status tells of its connection", "服务自身的连接见 hearth status"),
            about=_ABOUT,
        )
    try:
        context = tls_context_of(settings) or ssl.create_default_context()
        with context.wrap_socket(connection, server_hostname=host) as secured:
            version = secured.version() or "TLS"
    except SettingsError as error:
        return fault(
            f"TLS was not tried: {error}",
            f"未尝试 TLS：{error}",
            hint=Words.same(error.hint),
            about=_ABOUT,
        )
    except ssl.SSLCertVerificationError as error:
        return fault(
            f"its certificate is not believed: {error.verify_message}",
            f"证书不可信：{error.verify_message}",
            hint=Words(
                "it must be signed by `ca`, name this host and be valid today; is the clock right?",
                "证书须由 `ca` 签发、与主机名相符且在有效期内；本机时钟是否正确？",
            ),
            about=_ABOUT,
        )
    except OSError as error:
        return fault(
            f"no TLS: {error}",
            f"TLS 握手失败：{error}",
            hint=Words("does it speak TLS on this port?", "该端口是否使用 TLS？"),
            about=_ABOUT,
        )
    return ok(f"{version}, its certificate is good", f"{version}，证书有效", about=_ABOUT)
