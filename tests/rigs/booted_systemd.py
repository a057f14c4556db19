"""A real systemd, booted as PID 1 of namespaces of its own, with hearth installed in it.

    with BootedSystemd() as machine:
        machine.systemctl("start", "hearth")
        machine.run("hearth", "status")

It is Debian's systemd with its journald (and dbus), in a root folder of its own (booted_root.py); only
the network is the machine's, so that a broker on loopback is reached. What it must not do to the
machine it cannot: see booted_systemd.sh. A test run that is killed takes it along.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import tempfile
from pathlib import Path

from booted_root import REPOSITORY, compose

SCRIPT = Path(__file__).with_suffix(".sh")
# Booting takes a second; two busy cores and a cold disk make it many.
BOOT_S = 60.0
# Everything a test asks of it: systemd itself gives a unit 90 s to start or stop.
PATIENCE_S = 100.0
PATH = "/opt/hearth/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MOUNTED = ("dev", "proc", "run", "sys", "tmp")  # of booted_systemd.sh
_TOOLS = ("unshare", "nsenter", "setpriv", "pivot_root", "mount", "systemctl", "journalctl")


def why_no_systemd() -> str:
    """Why it cannot be booted here; nothing if it can."""
    if os.geteuid() != 0:
        return "not root"
    missing = [tool for tool in _TOOLS if shutil.which(tool, path=PATH) is None]
    if missing or not Path("/lib/systemd/systemd").exists():
        return f"not installed: {', '.join(missing) or 'systemd'} (Debian: systemd, util-linux)"
    if not Path("/usr/share/base-passwd/passwd.master").exists():
        return "no Debian"
    trial = "mount -t tmpfs t /tmp && cd /tmp && mkdir p s c d && mount -t proc p p"
    trial += " && mount -t sysfs -o ro s s && mount -t cgroup2 c c && mount -t devpts d d"
    spaces = ("--mount", "--pid", "--fork", "--uts", "--ipc", "--cgroup")
    tried = subprocess.run(["unshare", *spaces, "sh", "-c", trial], capture_output=True, text=True)
    return f"no namespaces or mounts here: {tried.stderr.strip()}" if tried.returncode else ""


class BootedSystemd:
    """One machine; `with` boots it and takes it away. For one process; not for several threads."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="hearth-systemd-"))
        self._guard: subprocess.Popen[bytes] | None = None
        self.pid = 0  # of its PID 1, as this machine counts

    def __enter__(self) -> BootedSystemd:
        root = self._folder / "root"
        (self._folder / "cgroup").mkdir()
        try:
            binds = "".join(f"{one} {other}\n" for one, other in compose(root))
            (self._folder / "binds").write_text(binds)
            self._boot(root)
            self._install()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._guard is None:
            shutil.rmtree(self._folder)
            return
        self._guard.terminate()
        self._guard.wait(PATIENCE_S)
        self._guard = None

    # --- within ---

    def file(self, path: str) -> Path:
        """One of its files, to read and write from here; what is mounted on its disk is not seen."""
        top = path.lstrip("/").partition("/")[0]
        base = f"/proc/{self.pid}/root" if top in _MOUNTED else self._folder / "root"
        return Path(base, path.lstrip("/"))

    def group(self, name: str) -> int:
        """The number of one of its groups."""
        lines = (line.split(":") for line in self.file("/etc/group").read_text().splitlines())
        return next(int(it[2]) for it in lines if it[0] == name)

    def run(
        self, *command: str | Path, check: bool = True, text: str | None = None, **options: object
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in it as root; AssertionError with what it said if it fails."""
        done = subprocess.run(
            [*self.inside(), *command],
            input=text, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
            env={"PATH": PATH, "LANG": "C.UTF-8", "SYSTEMD_PAGER": ""}, **options,
        )  # fmt: skip
        said = f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert not check or done.returncode == 0, said
        return done

    def inside(self) -> list[str]:
        """What to put before a command so that it runs in it."""
        spaces = ("--mount", "--pid", "--uts", "--ipc", "--cgroup")
        return ["nsenter", "--target", str(self.pid), *spaces, "--"]

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        """`systemctl`; what it said on standard output."""
        return self.run("systemctl", *arguments, check=check).stdout

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Properties of a unit; all if none are named."""
        wanted = [f"--property={','.join(properties)}"] if properties else []
        lines = self.systemctl("show", *wanted, "--", unit).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def journal(self, unit: str = "", since_s: float = 0.0) -> str:
        """What is in its journal, of one unit or of all, since a moment (s since 1970)."""
        self.run("journalctl", "--sync")
        wanted = [f"--since=@{since_s:.6f}", *([f"--unit={unit}"] if unit else [])]
        return self.run("journalctl", "--output=cat", "--no-pager", *wanted).stdout

    def drop_in(self, unit: str, text: str, name: str = "test") -> None:
        """Change a unit until the next boot; an empty text takes the change back."""
        folder = self.file(f"/run/systemd/system/{unit}.d")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.conf").write_text(text)
        self.systemctl("daemon-reload")

    # --- its life ---

    def _boot(self, root: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
            ear.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            ear.bind(str(root / "rig/notify"))
            ear.settimeout(BOOT_S)
            with (self._folder / "log").open("wb") as log:
                self._guard = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "TERM", "unshare", "--mount",
                     "--propagation", "private", "sh", SCRIPT, self._folder],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    env={"PATH": PATH},
                )  # fmt: skip
            try:
                self.pid = _hear_ready(ear)
            except TimeoutError:
                raise AssertionError(f"no boot:\n{(self._folder / 'log').read_text()}") from None

    def _install(self) -> None:
        """What README.md says, with the shipped files."""
        shipped = REPOSITORY / "systemd"
        for source, target in {
            "hearth.service": "/etc/systemd/system/hearth.service",
            "hearth-collect.service": "/etc/systemd/system/hearth-collect.service",
            "hearth.sysusers": "/etc/sysusers.d/hearth.conf",
            "hearth.tmpfiles": "/etc/tmpfiles.d/hearth.conf",
        }.items():
            shutil.copy(shipped / source, self.file(target))
        self.run("systemd-sysusers", "/etc/sysusers.d/hearth.conf")
        self.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/hearth.conf")
        self.run("ldconfig")
        self.systemctl("daemon-reload")


def _hear_ready(ear: socket.socket) -> int:
    """Until its PID 1 says that it has booted; the pid that the kernel gives us for it."""
    while True:
        room = socket.CMSG_SPACE(struct.calcsize("3i"))
        message, attached, _, _ = ear.recvmsg(4096, room)
        if b"READY=1" in message.splitlines():
            (credentials,) = (data for _, kind, data in attached if kind == socket.SCM_CREDENTIALS)
            return struct.unpack("3i", credentials)[0]
