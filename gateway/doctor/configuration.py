"""The configuration read to its end: drivers, their options, and who may answer calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import SettingsError
from gateway.finding import Finding, Level, Words, ok, warning
from gateway.plan import plan
from gateway.settings import at
from gateway.signing.keys import read_public_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.plan import Planned
    from gateway.settings import Settings

_NOBODY_ANSWERS = warning(
    "no [commands] keys: nobody can take a call, nor order anything",
    "未设置 [commands] keys：没有人能接听呼叫，也无法下达命令",
    hint=Words(
        "hearth keys new, then name its .pub here", "运行 hearth keys new，并填入其 .pub 文件"
    ),
    about="commands",
)
_NO_DEVICES = warning(
    "no [[device]]: this home has nothing to listen to",
    "没有 [[device]]：本户没有接入任何设备",
    hint=Words("hearth devices lists the drivers", "hearth devices 列出可用驱动"),
    about="configuration",
)


def read_on(settings: Settings) -> tuple[list[Planned], list[str]]:
    """Every device, planned, and the faults of all that the file names; with faults, no devices."""
    faults: list[str] = []
    planned: list[Planned] = []
    try:
        planned = plan(settings)
    except SettingsError as error:
        faults += error.faults
    for table, key, names in (
        ("commands", "keys", settings.commands.keys),
        ("uplink", "ack_keys", settings.uplink.ack_keys),
    ):
        try:
            read_public_keys(names, at(f"{settings.file}:{table}", key, settings.source))
        except SettingsError as error:
            faults += error.faults
    return planned, faults


def look_at_configuration(settings: Settings) -> tuple[list[Planned], list[Finding]]:
    """The devices, and what is to be said of the file."""
    planned, faults = read_on(settings)
    findings = [Finding(Level.FAULT, Words.same(what), about="configuration") for what in faults]
    if not faults:
        count = len(planned)
        sound = ok(f"sound, {count} devices", f"配置正确，{count} 个设备", about="configuration")
        findings.append(sound)
    findings += [_NO_DEVICES] * (not settings.devices)
    findings += _buses(settings)
    findings += [_NOBODY_ANSWERS] * (not settings.commands.keys)
    return planned, findings


def _buses(settings: Settings) -> Sequence[Finding]:
    used = {device.bus for device in settings.devices}
    return [
        warning("no device hangs on it", "总线上没有配置设备", about=f"bus {bus.id}")
        for bus in settings.buses
        if bus.id not in used
    ]
