"""What `hearth collect` puts together of its arguments; runs until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import re
import signal
from typing import TYPE_CHECKING

from gateway.errors import SettingsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Callable

    from collector.assembly import Assembly
    from collector.outputs.port import Output
    from gateway.settings import UplinkSettings
    from gateway.signing.signature import PrivateKey

# A batch becomes thousands of objects without circles, and lives for milliseconds. Python looks for
# circles at every 700 of them, which costs a tenth of the time.
GC_OBJECTS = 50_000

log = logging.getLogger("hearth.collector")

# MQTT 5, 4.8.2: no "/", "+" or "#" is in the name of a shared subscription.
_SHARE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


async def collect(arguments: argparse.Namespace) -> None:
    """Collect until SIGTERM or SIGINT; SettingsError with what is wrong with the arguments."""
    from collector.assembly import Assembly
    from collector.store import open_store

    gc.set_threshold(GC_OBJECTS)
    settings, outputs = _broker_of(arguments), _outputs_of(arguments)
    address, key = _address_of(arguments), _key_of(arguments)
    store = open_store(arguments.store, outputs=tuple(outputs))
    try:
        made = [make() for make in outputs.values()]
        assembly = Assembly(settings, store, made, arguments.share, key)
        work = asyncio.create_task(_work(assembly, address))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        log.info("collecting from %s; outputs: %s", settings.url, ", ".join(outputs) or "none")
        with contextlib.suppress(asyncio.CancelledError):
            await work
        log.info("ended")
    finally:
        store.close()


async def _work(assembly: Assembly, address: tuple[str, int] | None) -> None:
    async with _metrics(assembly, address):
        await assembly.run()


@contextlib.asynccontextmanager
async def _metrics(assembly: Assembly, address: tuple[str, int] | None) -> AsyncIterator[None]:
    """Figures for Prometheus, if they are wanted: their library is loaded only then."""
    if address is None:
        yield
        return
    from gateway.metrics import MetricsServer

    figures = assembly.figures()
    server = MetricsServer(address, figures)
    await server.start()
    looking = asyncio.create_task(figures.keep_looking())
    try:
        yield
    finally:
        looking.cancel()
        await server.close()


def _broker_of(arguments: argparse.Namespace) -> UplinkSettings:
    from gateway.settings import read_uplink

    if not arguments.url:
        raise SettingsError(["--url: missing"], hint="hearth collect --url mqtts://... --store ...")
    if arguments.share and not _SHARE.match(arguments.share):
        raise SettingsError(
            [f"--share: {arguments.share!r} names no shared subscription"],
            hint="letters, digits, . _ -",
        )
    names = ("url", "username", "password_file", "ca", "cert", "key", "allow_plaintext")
    return read_uplink({name: getattr(arguments, name) for name in names}, "hearth collect")


def _key_of(arguments: argparse.Namespace) -> PrivateKey | None:
    """What signs acknowledgements; None if nothing does."""
    if not arguments.ack_key:
        return None
    from gateway.signing.keys import read_private_key

    return read_private_key(arguments.ack_key, "--ack-key")


def _outputs_of(arguments: argparse.Namespace) -> dict[str, Callable[[], Output]]:
    """Those that are wanted, by their names in the store; made when the loop runs."""
    from collector.outputs.command import Command, argv_of
    from collector.outputs.lines import Lines

    outputs: dict[str, Callable[[], Output]] = {}
    if arguments.lines:
        outputs[Lines.name] = Lines
    if arguments.command:
        argv = argv_of(arguments.command)
        outputs[Command.name] = lambda: Command(argv)
    if arguments.webhook:
        outputs["webhook"] = _webhook_of(arguments)
    elif arguments.webhook_secret_file:
        raise SettingsError(["--webhook-secret-file: there is no --webhook"])
    return outputs


def _webhook_of(arguments: argparse.Namespace) -> Callable[[], Output]:
    try:
        from collector.outputs.webhook import Webhook, check_url
    except ImportError as error:
        raise SettingsError(
            [f"--webhook: needs aiohttp ({error})"], hint="pip install 'hearth-gateway[webhook]'"
        ) from error
    from collector.outputs.signature import secrets_of

    place = "--webhook-secret-file"
    if not arguments.webhook_secret_file:
        raise SettingsError([f"{place}: missing; an alarm that is not signed can be forged"])
    check_url(arguments.webhook, allow_plaintext=arguments.allow_plaintext)
    secrets = secrets_of(place, arguments.webhook_secret_file)
    return lambda: Webhook(arguments.webhook, secrets)


def _address_of(arguments: argparse.Namespace) -> tuple[str, int] | None:
    """Where to tell figures; None if nobody wants them."""
    from gateway.settings import LOOPBACK, MetricsSettings

    try:
        address = MetricsSettings(listen=arguments.metrics or "").address
    except ValueError as error:
        raise SettingsError([f"--metrics: {error}"]) from error
    if address and address[0] not in LOOPBACK and not arguments.allow_plaintext:
        raise SettingsError(
            ["--metrics: other machines could ask, and there is no password"],
            hint="127.0.0.1:PORT, or --allow-plaintext where the network itself is trusted",
        )
    return address
