"""The root folder of a booted systemd: a small Debian, with hearth installed as its README says.

Programs are the machine's own (/usr, read-only). Of systemd's units only those are there that
neither touch the kernel nor start a service of the machine, so nothing needs to be masked.
"""

from __future__ import annotations

import compileall
import os
import shutil
import sys
import sysconfig
import tomllib
import uuid
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
UNITS = Path("/usr/lib/systemd/system")
# What a service may be ordered after, or want; none does anything.
_TARGETS = (
    "basic", "bluetooth", "emergency", "exit", "final", "local-fs", "local-fs-pre", "multi-user",
    "network", "network-online", "network-pre", "nss-lookup", "nss-user-lookup", "paths",
    "poweroff", "reboot", "rescue", "shutdown", "slices", "sockets", "sound", "swap", "sysinit",
    "time-set", "time-sync", "timers", "umount",
)  # fmt: skip
_SERVICES = (
    "dbus.service", "dbus.socket", "systemd-journald.service", "systemd-journald.socket",
    "systemd-journald-dev-log.socket",
)  # fmt: skip
_WANTED = {
    "sysinit.target.wants": ("systemd-journald.service",),
    "sockets.target.wants": (
        "systemd-journald.socket", "systemd-journald-dev-log.socket", "dbus.socket",
    ),
}  # fmt: skip
_COPIED_FROM_ETC = (
    "alternatives", "dbus-1", "gai.conf", "host.conf", "hosts", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "localtime", "protocols", "resolv.conf", "services", "ssl",
)  # fmt: skip
# The kernel's messages and its audit belong to the machine.
_JOURNALD = "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nRateLimitIntervalSec=0\n"
# Of a Debian without libnss-systemd, which systemd does not ask for: users that it makes up for a
# service have no name in the service's eyes.
_NAMES = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\n"
_PYTHON = "opt/python"
_DEPENDENCIES = "opt/dependencies"
_CONSOLE_SCRIPT = """#!/opt/hearth/bin/python3
import sys
from gateway.cli.main import main
sys.exit(main())
"""


def compose(root: Path) -> list[tuple[Path, str]]:
    """Make everything but mounts; what is to be bound there, read-only, in this order."""
    mask = os.umask(0o022)  # root's own on a Debian, whoever tests
    try:
        return _compose(root)
    finally:
        os.umask(mask)


def _compose(root: Path) -> list[tuple[Path, str]]:
    for folder in (
        "before", "dev", "etc", "home", "opt", "proc", "rig", "root", "run", "srv", "sys", "tmp",
        "usr", "var/cache", "var/lib", "var/log", "var/tmp",
    ):  # fmt: skip
        (root / folder).mkdir(parents=True)
    (root / "root").chmod(0o700)
    (root / "var/run").symlink_to("/run")
    binds = [(Path("/usr"), "usr"), *_merged(root)]
    _fill_etc(root / "etc")
    binds += _units(root)
    binds += _install(root)
    return binds


def _merged(root: Path) -> list[tuple[Path, str]]:
    """/bin, /lib and their like: links into /usr, or folders on a machine that is not merged."""
    binds = []
    for path in Path("/").glob("[bls]*"):
        if path.name not in ("bin", "sbin") and not path.name.startswith("lib"):
            continue
        if path.is_symlink():
            (root / path.name).symlink_to(path.readlink())
        elif path.is_dir():
            (root / path.name).mkdir()
            binds.append((path, path.name))
    return binds


def _fill_etc(etc: Path) -> None:
    for name in _COPIED_FROM_ETC:
        source = Path("/etc") / name
        if source.is_dir():
            shutil.copytree(source, etc / name, symlinks=True)
        elif source.exists():
            shutil.copy2(source, etc / name, follow_symlinks=name == "resolv.conf")
    # Users and groups of a Debian on which nothing is installed: no gpio, no bluetooth.
    for name in ("passwd", "group"):
        shutil.copy(f"/usr/share/base-passwd/{name}.master", etc / name)
    (etc / "passwd").open("a").write("messagebus:x:101:101::/nonexistent:/usr/sbin/nologin\n")
    (etc / "group").open("a").write("messagebus:x:101:\n")
    (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
    (etc / "hostname").write_text("hearth-rig\n")
    (etc / "nsswitch.conf").write_text(_NAMES)
    for folder in ("systemd/system", "systemd/journald.conf.d", "sysusers.d", "tmpfiles.d"):
        (etc / folder).mkdir(parents=True)
    (etc / "systemd/journald.conf.d/rig.conf").write_text(_JOURNALD)


def _units(root: Path) -> list[tuple[Path, str]]:
    """A folder of systemd's own units, and one without generators, to lie over the machine's."""
    units, nothing = root / "rig/units", root / "rig/nothing"
    units.mkdir()
    nothing.mkdir()
    for name in (*(f"{it}.target" for it in _TARGETS), *_SERVICES):
        if (UNITS / name).exists():
            shutil.copy(UNITS / name, units / name)
    for folder, names in _WANTED.items():
        (units / folder).mkdir()
        for name in names:
            (units / folder / name).symlink_to(f"../{name}")
    generators = (Path("/usr/lib/systemd/system-generators"), Path("/usr/lib/environment.d"))
    over = [(nothing, str(it)[1:]) for it in generators if it.is_dir()]
    return [(units, str(UNITS)[1:]), *over]


def _install(root: Path) -> list[tuple[Path, str]]:
    """hearth in a virtual environment /opt/hearth, as pip would have put it there."""
    binds = [(Path(sysconfig.get_path("purelib")), _DEPENDENCIES)]
    base, executable = Path(sys.base_prefix), Path(sys._base_executable).resolve()
    if not executable.is_relative_to("/usr"):
        # systemd hides /home and /root from hearth, and a Python may live there.
        executable = Path("/", _PYTHON) / executable.relative_to(base.resolve())
        binds.append((base.resolve(), _PYTHON))
        (root / "etc/ld.so.conf.d/python.conf").write_text(f"/{_PYTHON}/lib\n")
    for _, target in binds:
        (root / target).mkdir(parents=True)
    venv = root / "opt/hearth"
    site = venv / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    site.mkdir(parents=True)
    (venv / "bin").mkdir()
    for name in ("python3", "python"):
        (venv / "bin" / name).symlink_to(executable)
    (venv / "pyvenv.cfg").write_text(f"home = {executable.parent}\n")
    _write_program(venv / "bin/hearth", _CONSOLE_SCRIPT)
    for package in ("gateway", "drivers", "collector"):
        shutil.copytree(REPOSITORY / package, site / package)
    (found,) = Path(sysconfig.get_path("purelib")).glob("hearth_gateway-*.dist-info")
    shutil.copytree(found, site / found.name)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    for source, target in shared.items():
        _copy(REPOSITORY / source, venv / target)
    (site / "dependencies.pth").write_text(f"/{_DEPENDENCIES}\n")
    # As pip does: hearth may not write there, and would compile them at each start.
    compileall.compile_dir(site, quiet=1, stripdir=root, prependdir="/")
    _open_to_all(venv)
    return binds


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _open_to_all(folder: Path) -> None:
    """As pip run by root leaves it, whatever the umask of this checkout was."""
    for place, folders, files in os.walk(folder):
        for name in folders:
            os.chmod(os.path.join(place, name), 0o755)
        for name in files:
            path = os.path.join(place, name)
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode | 0o644)
