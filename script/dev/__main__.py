"""`script/server`, `script/test`, `script/check`, `script/bench`, `script/mutants`: one small
command each. Standard library only.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType

import environment
import mutants
import servers
from environment import PYTHON, ROOT, fail, say

CODE = [
    "accounts",
    "approvals",
    "audit",
    "changemgmt",
    "implementation",
    "language",
    "notifications",
    "pages",
    "proposals",
    "reports",
    "requests",
    "web",
    "windows",
]


class Stopped(BaseException):
    """SIGINT or SIGTERM arrived; unwinding stops what we started, in order."""


def stop_on_signals() -> None:
    def handler(number: int, frame: FrameType | None) -> None:
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(
                name, signal.SIG_IGN
            )  # once is enough: a second Ctrl-C must not interrupt the stopping
        raise Stopped(number)

    # Explicitly: a shell that starts us in the background hands SIGINT down ignored.
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, handler)


def var_folder() -> Path:
    return Path(os.environ.get("CHANGEMGMT_VAR") or ROOT / "var").resolve()


def child_environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join([str(PYTHON.parent), os.environ.get("PATH", "")])
    return {
        **os.environ,
        "PATH": path,
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "changemgmt.settings.dev",
        **more,
    }


def manage(
    *words: str, env: dict[str, str], stdout: int | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PYTHON), "manage.py", *words], cwd=ROOT, env=env, check=True, text=True, stdout=stdout
    )


# --- script/server --------------------------------------------------------------------------------


def anchored_clock(var: Path) -> tuple[Path, dict[str, str]]:
    """With CHANGEMGMT_CLOCK, a data folder of its own and one anchor that all processes of this run
    share.
    """
    wanted = os.environ.get("CHANGEMGMT_CLOCK")
    if not wanted:
        return var, {}
    try:
        at = datetime.fromisoformat(wanted.replace("Z", "+00:00"))
    except ValueError:
        fail(f"CHANGEMGMT_CLOCK={wanted!r} is no ISO instant; write it like 2026-10-06T01:50Z.")
    at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
    folder = var / f"clock-{at.astimezone(timezone.utc):%Y-%m-%dT%H%MZ}"
    folder.mkdir(parents=True, exist_ok=True)
    offset = at.timestamp() - time.time()
    (folder / "clock.json").write_text(
        json.dumps({"clock": wanted, "offset_seconds": offset, "pid": os.getpid()})
    )
    return folder, {"CHANGEMGMT_CLOCK": wanted, "CHANGEMGMT_CLOCK_OFFSET": repr(offset)}


def server(words: list[str]) -> int:
    if words not in ([], ["--reload"]):
        fail(
            "script/server takes --reload or nothing; PORT, DEMO and the other settings are"
            " environment variables (docs/operations.md)."
        )
    stop_on_signals()
    port = int(os.environ.get("PORT") or 8000)
    try:
        var = var_folder()
        environment.ensure(var)
        var, clock = anchored_clock(var)
        if servers.answers(port):
            fail(
                f"something answers on port {port} already; choose another with PORT=8001"
                " script/server."
            )
        with (
            servers.both(var) as urls,
            running_product(
                var, port, child_environment(**urls, **clock), reload=bool(words)
            ) as processes,
        ):
            while all(process.poll() is None for process in processes.values()):
                time.sleep(0.5)
            dead = next(name for name, process in processes.items() if process.poll() is not None)
            fail(
                f"{dead} stopped by itself; see {var / dead}.log. Everything else was stopped too."
            )
    except Stopped:
        say("Stopped.")
    return 0


def product_commands(var: Path, port: int, mail_port: int, *, reload: bool) -> dict[str, list[str]]:
    """What the product consists of. With `reload` the web server is Django's, which starts anew
    when a file changes.
    """
    celery = [str(PYTHON), "-m", "celery", "-A", "changemgmt", "--quiet"]
    granian = [str(PYTHON.parent / "granian"), "--interface", "wsgi", "--no-ws"]
    granian += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    granian += ["--blocking-threads", "8", "--log-level", "warning", "changemgmt.wsgi:application"]
    worker = [*celery, "worker", "--loglevel=warning", "--concurrency=2", "--queues=celery,mail"]
    worker += ["--without-mingle", "--without-gossip"]
    return {
        "mail": [str(PYTHON), "manage.py", "mail_sink", str(mail_port), str(var / "mail")],
        "web": [str(PYTHON), "manage.py", "runserver", f"127.0.0.1:{port}"] if reload else granian,
        "worker": worker,
        "beat": [
            *celery,
            "beat",
            "--loglevel=warning",
            f"--schedule={var / 'beat-schedule'}",
            "--pidfile=",
        ],
    }


NAMES = {"web": "The web server", "worker": "The worker"}


@contextlib.contextmanager
def running_product(
    var: Path, port: int, env: dict[str, str], *, reload: bool = False
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Mail sink, web, worker and beat on a migrated database; prints the ready line when the page
    really answers.
    """
    env["CHANGEMGMT_VAR_IN_USE"] = str(var)
    if reload:
        env["RELOAD"] = "1"
    env.setdefault("SECRET_KEY", development_secret(var))
    mail_port = servers.free_port()
    env.setdefault("EMAIL_URL", f"smtp://127.0.0.1:{mail_port}")
    env.setdefault("BASE_URL", f"http://127.0.0.1:{port}")
    manage("migrate", "--verbosity=0", env=env)
    manage("setup_process", env=env, stdout=subprocess.DEVNULL)
    demo = os.environ.get("DEMO", "1") != "0"
    if demo:
        manage("demo_data", "--if-empty", env=env, stdout=subprocess.DEVNULL)
    processes: dict[str, subprocess.Popen[bytes]] = {}
    os.chdir(ROOT)
    try:
        for name, command in product_commands(var, port, mail_port, reload=reload).items():
            (var / f"{name}.log").write_bytes(b"")
            processes[name] = servers.start(command, log=var / f"{name}.log", env=env)
        for name, path in (("web", "/accounts/login/"), ("worker", "/readyz")):
            servers.wait_until(
                functools.partial(page_answers, port, path),
                processes[name],
                log=var / f"{name}.log",
                name=NAMES[name],
                seconds=60,
            )
        note_environment(var, env)
        print(ready_line(port, demo, env), flush=True)
        yield processes
    finally:
        (var / RUNNING).unlink(missing_ok=True)
        for process in reversed(processes.values()):
            servers.stop(process)


RUNNING = "running.json"  # what script/manage needs to speak with the running product's database
SPOKEN = (
    "DATABASE_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "BASE_URL",
    "EMAIL_URL",
    "CHANGEMGMT_VAR_IN_USE",
    "CHANGEMGMT_CLOCK_OFFSET",
    "CHANGEMGMT_CLOCK",
)


def note_environment(var: Path, env: dict[str, str]) -> None:
    """Keep the running product's environment where only its user reads it."""
    path = var / RUNNING
    path.touch(mode=0o600)
    path.write_text(
        json.dumps({"pid": os.getpid(), **{name: env[name] for name in SPOKEN if name in env}})
    )


def running_environment(var: Path) -> dict[str, str] | None:
    """The environment of the product that runs on this data folder, if one does; of several clocks
    the one that began last.
    """
    found = sorted(var.glob(f"**/{RUNNING}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found:
        kept: dict[str, str] = json.loads(path.read_text())
        try:
            os.kill(int(kept.pop("pid")), 0)
        except (OSError, ValueError):
            continue
        return kept
    return None


def manage_command(words: list[str]) -> int:
    """`script/manage ARGS`: any management command, in the running product's environment, else on
    script/server's database.
    """
    stop_on_signals()
    var = var_folder()
    try:
        environment.ensure(var)
        command = [str(PYTHON), "manage.py", *words]
        if running := running_environment(var):
            return subprocess.run(command, cwd=ROOT, env=child_environment(**running)).returncode
        with servers.both(var) as urls:
            env = child_environment(
                **urls, CHANGEMGMT_VAR_IN_USE=str(var), SECRET_KEY=development_secret(var)
            )
            env.setdefault("BASE_URL", f"http://127.0.0.1:{os.environ.get('PORT') or 8000}")
            manage("migrate", "--verbosity=0", "--skip-checks", env=env)
            return subprocess.run(command, cwd=ROOT, env=env).returncode
    except Stopped:
        return 130


def page_answers(port: int, path: str = "/accounts/login/") -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def development_secret(var: Path) -> str:
    """A secret of this data folder, so that sessions outlive a restart."""
    path = var / "secret-key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(os.urandom(32).hex())
    return path.read_text()


def ready_line(port: int, demo: bool, env: dict[str, str]) -> str:
    hint = manage(
        "first_steps",
        *(["--demo"] if demo else []),
        f"--url=http://127.0.0.1:{port}",
        env=env,
        stdout=subprocess.PIPE,
    )
    return hint.stdout.strip()


# --- script/test, script/check, script/bench ------------------------------------------------------


#: Three on two cores: each waits half of its time for a browser, a worker or a whole minute. By
#: file, so that a story has one product (xdist 3.8 loses its groups under pytest 9.2), and in the
#: order of `tests/conftest.py`: the long ones first.
PROCESSES = ["-n", "3", "--dist", "loadfile", "--no-loadscope-reorder"]


def test(words: list[str]) -> int:
    """Without words the whole suite in three processes; with some, plain pytest. `--faults`: the
    long counts.
    """
    stop_on_signals()
    faults = {"FAULTS": "1"} if "--faults" in words else {}
    words = [word for word in words if word != "--faults"] or PROCESSES
    var = var_folder() / "test"
    child: subprocess.Popen[bytes] | None = None
    try:
        environment.ensure(var.parent)
        chromium = environment.ensure_browser()
        if not chromium and os.environ.get("CI", "").lower() == "true":
            fail(
                "no browser was found, and CI=true: the browser tests must run. Install chromium,"
                " or name one in CHROMIUM."
            )
        if not chromium:
            say("NO BROWSER: tests/browser is skipped. Install chromium, or name one in CHROMIUM.")
        with servers.both(var, durable=False) as urls:
            env = child_environment(
                **urls,
                **faults,
                DJANGO_SETTINGS_MODULE="changemgmt.settings.test",
                **({"CHROMIUM": chromium} if chromium else {}),
            )
            place = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
            child = subprocess.Popen(
                [str(PYTHON), "-m", "pytest", *place, *words], cwd=ROOT, env=env
            )
            return child.wait()
    except Stopped:
        if child and child.poll() is None:
            child.terminate()
            child.wait()
        return 130


#: What the settings of production, and the compose file, ask for.
PRODUCTION = {
    "DATABASE_URL": "postgresql://app:secret@db/changemgmt",
    "REDIS_URL": "redis://redis/0",
    "ALLOWED_HOSTS": "change.example.com",
    "BASE_URL": "https://change.example.com",
    "EMAIL_URL": "smtp://mail:25",
    "DJANGO_SETTINGS_MODULE": "changemgmt.settings.production",
}
COMPOSE = {
    "SECRET_KEY": "x",
    "POSTGRES_PASSWORD": "x",
    "ALLOWED_HOSTS": "x",
    "BASE_URL": "https://x",
}


def check(words: list[str]) -> int:
    """Every check runs, also after one has failed, so that one run tells all."""
    environment.ensure(var_folder())
    env = child_environment()
    tools = PYTHON.parent
    commands: list[tuple[str, list[str], dict[str, str]]] = [
        ("format", [str(tools / "ruff"), "format", "--check", "."], {}),
        ("lint", [str(tools / "ruff"), "check", "."], {}),
        ("types", [str(PYTHON), "-m", "mypy"], {}),
        ("import layers", [str(tools / "lint-imports"), "--no-cache"], {}),
        ("templates", [str(tools / "djlint"), "--lint", "--quiet", "templates"], {}),
        (
            "migrations",
            [str(PYTHON), "manage.py", "makemigrations", "--check", "--dry-run", "--skip-checks"],
            {"DATABASE_URL": "postgresql:///none"},
        ),
        (
            "deployment",
            [str(PYTHON), "manage.py", "check", "--deploy", "--fail-level=WARNING"],
            {"SECRET_KEY": os.urandom(40).hex(), **PRODUCTION},
        ),
    ]
    docker = shutil.which("docker")
    asks = ["docker", "compose", "version"]
    if docker and subprocess.run(asks, capture_output=True).returncode == 0:
        compose = ["docker", "compose", "-f", "docker-compose.yml", "config", "--quiet"]
        commands.append(("compose file", compose, COMPOSE))
    failed = []
    for name, command, more in commands:
        say(name)
        if subprocess.run(command, cwd=ROOT, env={**env, **more}).returncode:
            failed.append(name)
    if failed:
        print(f"Failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def bench(words: list[str]) -> int:
    stop_on_signals()
    var = var_folder() / "bench"
    try:
        environment.ensure(var.parent)
        with servers.both(var) as urls:
            env = child_environment(
                **urls,
                DJANGO_SETTINGS_MODULE="changemgmt.settings.bench",
                SECRET_KEY=os.urandom(32).hex(),
            )
            return subprocess.run(
                [str(PYTHON), "script/bench_steps.py", *words], cwd=ROOT, env=env
            ).returncode
    except Stopped:
        return 130


def mutate(words: list[str]) -> int:
    """Needs no server; see `mutants.py`."""
    stop_on_signals()
    try:
        environment.ensure(var_folder())
        return mutants.run(words, var_folder())
    except Stopped:
        return 130


if __name__ == "__main__":
    name, *rest = sys.argv[1:]
    commands = {
        "server": server,
        "test": test,
        "check": check,
        "bench": bench,
        "manage": manage_command,
        "mutants": mutate,
    }
    sys.exit(commands[name](rest))
