"""A PostgreSQL server of the tests' own: a folder, a Unix socket, nothing of it outside.

With `listen_addresses` and a `port` among its settings it is on TCP as well.

It is a real server with fsync on, so what it says is committed survives `kill`, which ends every
process of it at once. initdb and postgres refuse to run as root; then they run as Debian's user
`postgres`, or as `nobody`.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from gateway.errors import StoreError

ROLE = "hearth"
# initdb and a recovery after `kill` take seconds on two busy cores.
PATIENCE_S = 30.0
PROBE_INTERVAL_S = 0.02
_DEBIAN = "/usr/lib/postgresql"
# A test run that is killed takes its server along: util-linux lets the kernel see to it.
_UNDERTAKER = ["setpriv", "--pdeathsig", "QUIT"] if shutil.which("setpriv") else []
# Small, local, and as durable as a server is that somebody relies on.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "on",
    "full_page_writes": "on",
    "max_connections": "50",
    "deadlock_timeout": "200ms",  # a test that deadlocks should say so soon
    "logging_collector": "off",
}


def find_postgresql() -> Path | None:
    """The folder with initdb and postgres, the newest of them, if this machine has them."""
    folders = sorted(
        Path(_DEBIAN).glob("*/bin"), key=lambda it: _major(it.parent.name), reverse=True
    )
    if in_path := shutil.which("postgres"):
        folders.append(Path(in_path).resolve().parent)
    return next((it for it in folders if {"initdb", "postgres"} <= set(os.listdir(it))), None)


def why_no_postgresql() -> str:
    """Why the tests that need it cannot run; nothing if they can."""
    if find_postgresql() is None:
        return "PostgreSQL is not installed (Debian: postgresql)"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "psycopg is not installed (extra: postgres)"
    return ""


def _major(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return 0.0


def _unprivileged() -> str | None:
    """Whom the server runs as, if it cannot be us."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class PostgresServer:
    """One server; `with` starts it and takes it away.

    Args:
        settings: further settings of postgresql.conf.
    """

    def __init__(self, **settings: str) -> None:
        binaries = find_postgresql()
        if binaries is None:
            raise StoreError(why_no_postgresql())
        self._binaries = binaries
        self._settings = {**_SETTINGS, **settings}
        self._user = _unprivileged()
        self._folder = Path(tempfile.mkdtemp(prefix="hearth-pg-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)

    def __enter__(self) -> PostgresServer:
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        data = self._folder / "data"
        self._run(
            "initdb", "--pgdata", data, "--username", ROLE, "--auth", "trust", "--encoding",
            "UTF8", "--locale", "C", "--no-sync", "--no-instructions",
        )  # fmt: skip
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    # --- its life ---

    def start(self) -> None:
        """Start it, and return when it takes connections; it ends with the thread that calls."""
        settings = self._settings | {"unix_socket_directories": str(self._folder)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_UNDERTAKER, self._binaries / "postgres", "-D", self._folder / "data", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=self._user,
                start_new_session=True,
            )
        self._wait(self._answers, "never took a connection")

    def stop(self) -> None:
        """Ask it to end, and wait: its clients are cut off (a fast shutdown)."""
        if self._process is not None:
            self.resume()
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE_S)
            self._process = None

    def kill(self) -> None:
        """End every process of it without a word, as a power cut would."""
        if self._process is not None:
            pids = self._pids()
            self._signal(signal.SIGKILL)
            self._process.wait(PATIENCE_S)
            self._process = None
            # Its shared memory is free when the last of them is gone.
            self._wait(lambda: not any(map(_lives, pids)), "outlived SIGKILL")

    def pause(self) -> None:
        """Stop every process of it where it is: it neither answers nor hangs up."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    # --- its databases ---

    def url(self, database: str, host: str = "") -> str:
        """Where a database is, as `hearth collect --store` wants it; by default the Unix socket."""
        port = f"&port={self._settings['port']}" if "port" in self._settings else ""
        return f"postgresql://{ROLE}@/{database}?host={host or self._folder}{port}"

    def new_database(self) -> str:
        """The name of a database that nobody used."""
        name = f"d{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def new_schema(self, database: str) -> str:
        """The URL of an empty schema in a database: made in no time, and as good for one store."""
        name = f"s{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {name}", database)
        return f"{self.url(database)}&options=-csearch_path%3D{name}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple]:
        """Run a statement as the superuser; its rows, if it has any."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    # --- within ---

    def _run(self, name: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self._binaries / name, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self._folder,
            user=self._user,
            check=False,
        )
        if done.returncode:
            raise StoreError(f"{name}: {done.stderr.decode(errors='replace')}")

    def _answers(self) -> bool:
        import psycopg

        if self._process is not None and self._process.poll() is not None:
            raise StoreError((self._folder / "log").read_text(errors="replace")[-2000:])
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _pids(self) -> list[int]:
        """The postmaster and its children; each child has a session of its own."""
        if self._process is None:
            return []
        postmaster = self._process.pid
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children")
        try:
            return [postmaster, *map(int, children.read_text().split())]
        except OSError:
            return [postmaster]

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if number is not signal.SIGCONT:  # it must not have further children meanwhile
            os.kill(self._process.pid, signal.SIGSTOP)
        for pid in self._pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def _wait(self, condition, what: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > until:
                raise StoreError(f"the server {what}")
            time.sleep(PROBE_INTERVAL_S)


def _lives(pid: int) -> bool:
    """Whether it runs: a zombie does not, and holds nothing any more."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
