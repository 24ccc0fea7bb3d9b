"""`script/bench [--changes N] [--rounds N] [--waiting N]`: the steps that exist, against the floor,
on the production server.

One JSON line a figure on stdout, a readable table on stderr. The ratio to the floor is what
matters; milliseconds differ by machine.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "script" / "dev")]
os.environ |= {
    "EMAIL_URL": "smtp://127.0.0.1:9",
    "BASE_URL": "http://127.0.0.1",
    "ALLOWED_HOSTS": "127.0.0.1",
}

import django
import servers

django.setup()

from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from approvals.deciding import decisions
from approvals.models import Step
from requests import changes
from requests.models import ChangeRequest

BOUNDS = {
    "list": 2.0,
    "filtered": 2.0,
    "deep": 2.0,
    "change": 2.5,
    "submit": 3.0,
    "approve": 3.0,
    "queue": 2.0,
    "calendar": 3.0,
    "report": 2.0,
    "gate": 2.0,
    "search": 2.5,
}
VALUES: dict[str, Any] = {
    "priority": "P2", "summary": "Bench", "reason": "To measure", "components": ["cdn"],
    "risk": "low", "implementation_steps": "One\nTwo", "rollback_plan": "Back",
    "rollback_tested": {"what": "a", "where": "b", "when": "c"}, "rollback_minutes": 5,
    "testing_plan": "Look", "dependencies": "none", "downtime_required": False,
    "users_affected": False, "user_impact": "none", "performance_impact": "none",
    "security_impact": "none", "affects_authentication": False,
    "affects_authorization": False, "affects_data_access": False, "affects_network": False,
    "estimated_minutes": 10,
}  # fmt: skip


def cookie(username: str) -> str:
    """A signed-in session; product and floor share the key and the table, so it opens both."""
    user, session = User.objects.get(username=username), SessionStore()
    session["_auth_user_id"], session["_auth_user_backend"] = (
        str(user.pk),
        "django.contrib.auth.backends.ModelBackend",
    )
    session["_auth_user_hash"] = user.get_session_auth_hash()
    session["began"] = session["seen"] = timezone.now().isoformat()
    session.save()
    return f"sessionid={session.session_key}; csrftoken={'a' * 32}"


@contextmanager
def server(application: str, extra: dict[str, str]) -> Iterator[int]:
    port, log = (
        servers.free_port(),
        ROOT / "var" / "bench" / f"{application.split(':')[0].split('.')[-1]}.log",
    )
    command = [str(Path(sys.executable).parent / "granian"), "--interface", "wsgi", "--host",
        "127.0.0.1", "--port", str(port), "--workers", "1", "--blocking-threads", "8",
               "--no-ws", "--log-level", "error", application]  # fmt: skip
    process = servers.start(command, log=log, env={**os.environ, **extra})
    try:
        servers.wait_until(lambda: servers.answers(port), process, log=log, name=application)
        yield port
    finally:
        servers.stop(process)


def ask(
    link: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: dict[str, str],
    body: str = "",
) -> tuple[float, int, int]:
    started = time.perf_counter()
    link.request(method, path, body or None, headers)
    answer = link.getresponse()
    size = len(answer.read())
    return (time.perf_counter() - started) * 1000, answer.status, size


Request = Callable[[], tuple[str, str, dict[str, str], str]]


def measure(port: int, request: Request, rounds: int, clients: int) -> dict[str, float]:
    """p50 and p95 of one client, operations a second of several; the first few warm up."""
    link = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(3):
        method, path, headers, body = request()
        _, status, _ = ask(link, method, path, headers, body)
        assert status < 400, (path, status)
    times, size = [], 0
    for _ in range(rounds):
        method, path, headers, body = request()
        spent, status, size = ask(link, method, path, headers, body)
        assert status < 400, (path, status)
        times.append(spent)
    per_client = max(3, rounds // 4)
    work = [[request() for _ in range(per_client)] for _ in range(clients)]

    def run(mine: list[tuple[str, str, dict[str, str], str]]) -> None:
        own = http.client.HTTPConnection("127.0.0.1", port)
        for method, path, headers, body in mine:
            ask(own, method, path, headers, body)

    threads = [threading.Thread(target=run, args=(mine,)) for mine in work]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = clients * per_client / (time.perf_counter() - started)
    return {
        "p50_ms": statistics.median(times),
        "p95_ms": sorted(times)[int(len(times) * 0.95) - 1],
        "per_second": rate,
        "bytes": size,
    }


def statements(username: str, path: str) -> int:
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(User.objects.get(username=username))
    client.get(path)
    with CaptureQueriesContext(connection) as queries:
        client.get(path)
    return len(queries)


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/bench")
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument(
        "--waiting",
        type=int,
        default=0,
        help="so many more changes wait for the approver whose queue is measured",
    )
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    call_command("setup_process", stdout=sys.stderr)
    if ChangeRequest.objects.count() < options.changes:
        call_command(
            "demo_data", changes=options.changes - ChangeRequest.objects.count(), stdout=sys.stderr
        )
    call_command(
        "tick", stdout=sys.stderr
    )  # as in production, where the months that passed have their stored report
    engineer, lead = cookie("engineer"), cookie("tech-lead")
    needed = 2 * (3 + options.rounds + 8 * max(3, options.rounds // 4)) + 10
    print(f"· making {needed} drafts, and {options.waiting} changes that wait", file=sys.stderr)
    author = User.objects.get(username="engineer")
    day = timezone.now().date().isoformat()
    drafts = [
        changes.create(actor=author, values={**VALUES, "requested_date": day}).number
        for _ in range(needed)
    ]
    for _ in range(options.waiting):
        decisions.submit(
            actor=author,
            number=changes.create(actor=author, values={**VALUES, "requested_date": day}).number,
        )
    for number in drafts[: needed // 2]:
        decisions.submit(actor=author, number=number)
    open_steps = list(
        Step.objects.filter(
            change__number__in=drafts[: needed // 2], kind="technical", state="open"
        ).values_list("pk", "change__number", "change__version")
    )
    to_submit, to_approve = iter(drafts[needed // 2 :]), iter(open_steps)
    closed = ChangeRequest.objects.filter(state="closed").latest("id").number
    deep = _deep_cursor()
    month = f"{timezone.now():%Y-%m}"
    before = f"{(timezone.now().replace(day=1) - timezone.timedelta(days=1)):%Y-%m}"
    post = {"Content-Type": "application/x-www-form-urlencoded"}

    def get(path: str, who: str = engineer) -> Request:
        return lambda: ("GET", path, {"Cookie": who}, "")

    def submit() -> tuple[str, str, dict[str, str], str]:
        return (
            "POST",
            f"/changes/{next(to_submit)}/act/submit",
            {"Cookie": engineer, "X-CSRFToken": "a" * 32, **post},
            "x=1",
        )

    def approve() -> tuple[str, str, dict[str, str], str]:
        step, number, version = next(to_approve)
        ticks = "&".join(f"tick_T{n}=on" for n in range(1, 7))
        return (
            "POST",
            f"/changes/{number}/decide/{step}",
            {"Cookie": lead, "X-CSRFToken": "a" * 32, **post},
            f"verdict=approve&version={version}&{ticks}",
        )

    def write() -> tuple[str, str, dict[str, str], str]:
        return "POST", "/write", {"Cookie": engineer, **post}, "x=1"

    steps: dict[str, tuple[Request, Request, str]] = {
        "list": (get("/changes/"), get("/list"), "/changes/"),
        "filtered": (
            get("/changes/?state=closed&priority=P1"),
            get("/filtered"),
            "/changes/?state=closed&priority=P1",
        ),
        "deep": (get(f"/changes/?cursor={deep}"), get("/list"), f"/changes/?cursor={deep}"),
        "search": (get("/changes/?q=catalogue"), get("/search"), "/changes/?q=catalogue"),
        "change": (get(f"/changes/{closed}/"), get("/change"), f"/changes/{closed}/"),
        "queue": (get("/approvals/", lead), get("/queue"), "/approvals/"),
        "calendar": (get(f"/calendar/?at={month}"), get("/calendar"), f"/calendar/?at={month}"),
        "report": (get(f"/reports/{before}/"), get("/report"), f"/reports/{before}/"),
        "gate": (get(f"/api/v1/gate/{closed}"), get("/gate"), f"/api/v1/gate/{closed}"),
        "submit": (submit, write, ""),
        "approve": (approve, write, ""),
    }
    here = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "script")])}
    print(
        f"{'step':10}{'product':>9}{'floor':>8}{'ratio':>7}{'bound':>7}"
        f"{'8 cl/s':>8}{'ratio':>7}{'SQL':>5}{'kB':>6}",
        file=sys.stderr,
    )
    with (
        server("changemgmt.wsgi:application", here) as product,
        server("bench_floor:application", here) as floor,
    ):
        for name, (ours, theirs, path) in steps.items():
            mine, least = (
                measure(product, ours, options.rounds, 8),
                measure(floor, theirs, options.rounds, 8),
            )
            sql = statements("tech-lead" if name == "queue" else "engineer", path) if path else None
            figure = {
                "step": name, "changes": options.changes,
                "product_p50_ms": round(mine["p50_ms"], 2),
                "product_p95_ms": round(mine["p95_ms"], 2),
                "floor_p50_ms": round(least["p50_ms"], 2),
                "ratio": round(mine["p50_ms"] / least["p50_ms"], 2), "bound": BOUNDS[name],
                "product_per_second": round(mine["per_second"], 1),
                "floor_per_second": round(least["per_second"], 1),
                "ratio_8": round(mine["per_second"] / least["per_second"], 2), "sql": sql,
                "bytes": int(mine["bytes"]),
            }  # fmt: skip
            print(json.dumps(figure), flush=True)
            print(f"{name:10}{mine['p50_ms']:9.1f}{least['p50_ms']:8.1f}{figure['ratio']:7.1f}{BOUNDS[name]:7.1f}{mine['per_second']:8.0f}{figure['ratio_8']:7.2f}"
                  f"{sql if sql is not None else '–':>5}{mine['bytes'] / 1000:6.0f}",
                  file=sys.stderr)  # fmt: skip
    return 0


def _deep_cursor() -> str:
    from requests.listing import encode_cursor

    count = ChangeRequest.objects.count()
    row = ChangeRequest.objects.order_by("-created_at", "-id").only("created_at")[count // 2]
    return encode_cursor(row.created_at, row.pk)


if __name__ == "__main__":
    sys.exit(main())
