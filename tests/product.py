"""The whole product as a user starts it: `script/server`, with real servers, a real worker and a
clock of its own.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@contextmanager
def running(var: Path, *, clock: str, same_data: bool = False) -> Iterator[str]:
    """Start the product with demo data and yield its address."""
    with started(var, clock=clock, same_data=same_data) as line:
        yield address_in(line)


def address_in(line: str) -> str:
    """Where the product answers, as the line says that it prints when it does."""
    return line.split()[1].rstrip("/")


@contextmanager
def started(var: Path, *, clock: str, same_data: bool = False, demo: bool = True) -> Iterator[str]:
    """Start the product on a free port and yield the line that it prints when it is ready; stop it
    as a person would, by SIGTERM.

    A clock has data of its own in the folder; with `same_data` all clocks share them, so that time
    can pass between two runs.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    inherited = {
        key: value
        for key, value in os.environ.items()
        if key not in ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")
    }
    offset = (datetime.fromisoformat(clock) - datetime.now(UTC)).total_seconds()
    shifted = {"CHANGEMGMT_CLOCK_OFFSET": str(offset)} if same_data else {"CHANGEMGMT_CLOCK": clock}
    env = {
        **inherited,
        "PORT": str(port),
        "CHANGEMGMT_VAR": str(var),
        "DEMO": "1" if demo else "0",
        **shifted,
    }
    process = subprocess.Popen(
        [ROOT / "script" / "server"],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("Ready:"):
                break
        else:
            raise AssertionError("script/server did not come up:\n" + "".join(said))
        yield said[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


class Person:
    """Somebody with a browser's cookies: signs in by the demonstration's button, then
    speaks HTTP.
    """

    def __init__(self, base: str, username: str) -> None:
        self.base, self.username = base, username
        self.jar = CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))
        self.opener.open(f"{base}/accounts/login/").read()
        form = urllib.parse.urlencode(
            {"username": username, "csrfmiddlewaretoken": self.csrf}
        ).encode()
        self.opener.open(
            urllib.request.Request(f"{base}/accounts/demo/", data=form, headers={"Referer": base})
        ).read()

    @property
    def csrf(self) -> str:
        return next((cookie.value or "" for cookie in self.jar if cookie.name == "csrftoken"), "")

    def call(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
        headers = {
            "Content-Type": "application/json",
            "X-CSRFToken": self.csrf,
            "Referer": self.base,
        }
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            f"{self.base}/api/v1{path}", data=data, method=method, headers=headers
        )
        try:
            with self.opener.open(request) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            status, text = refused.code, refused.read()
        found = json.loads(text)
        assert status == expect, (
            f"{method} {path} as {self.username}: {status}, not {expect}: {found}"
        )
        return found

    def get(self, path: str, expect: int = 200) -> Any:
        return self.call("GET", path, expect=expect)

    def post(self, path: str, body: Any = None, expect: int = 200) -> Any:
        return self.call("POST", path, body or {}, expect=expect)

    def decide(self, number: str, kind: str, verdict: str = "approve", **more: Any) -> Any:
        step = next(
            s
            for s in self.get(f"/changes/{number}/steps")["items"]
            if s["kind"] == kind and s["state"] == "open"
        )
        body = {
            "verdict": verdict,
            "version": self.get(f"/changes/{number}")["version"],
            "checklist": {i["key"]: True for i in step["checklist"]},
        }
        return self.post(f"/changes/{number}/steps/{step['id']}/decision", body | more)

    def tick_off(self, number: str, *phases: str) -> None:
        for item in self.get(f"/changes/{number}/checklist")["items"]:
            if item["phase"] in phases and item["state"] == "open":
                self.call("PATCH", f"/changes/{number}/checklist/{item['id']}", {"state": "done"})


def eventually(check: Any, *, seconds: float = 90, every: float = 0.5) -> Any:
    """Wait for something that a worker does by itself; its last answer, or a failure."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s"
        time.sleep(every)
