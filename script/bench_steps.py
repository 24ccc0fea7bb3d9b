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


#: Method, path, headers and body.
Asked = tuple[str, str, dict[str, str], str]
Request = Callable[[], Asked]
Figures = dict[str, float]


def measure(port: int, request: Request, rounds: int, clients: int) -> Figures:
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

    def run(mine: list[Asked]) -> None:
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


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/bench")
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=60)
    waits = "so many more changes wait for the approver whose queue is measured"
    parser.add_argument("--waiting", type=int, default=0, help=waits)
    return parser.parse_args()


def fill(count: int) -> None:
    """The process, so many changes of the demonstration, and the stored reports of the months that
    passed, as in production.
    """
    call_command("migrate", verbosity=0)
    call_command("setup_process", stdout=sys.stderr)
    if (lacking := count - ChangeRequest.objects.count()) > 0:
        call_command("demo_data", changes=lacking, stdout=sys.stderr)
    call_command("tick", stdout=sys.stderr)


def make_drafts(count: int) -> list[str]:
    author, day = User.objects.get(username="engineer"), timezone.now().date().isoformat()
    values = {**VALUES, "requested_date": day}
    return [changes.create(actor=author, values=values).number for _ in range(count)]


def submit_all(numbers: list[str]) -> None:
    author = User.objects.get(username="engineer")
    for number in numbers:
        decisions.submit(actor=author, number=number)


def writing(rounds: int, waiting: int) -> dict[str, tuple[Request, Request, str]]:
    """Submitting and approving by the form: each request takes a change of its own."""
    half = 3 + rounds + 8 * max(3, rounds // 4) + 5
    print(f"· making {2 * half} drafts, and {waiting} changes that wait", file=sys.stderr)
    drafts = make_drafts(2 * half)
    submit_all([*drafts[:half], *make_drafts(waiting)])
    steps = Step.objects.filter(change__number__in=drafts[:half], kind="technical", state="open")
    to_approve = iter(list(steps.values_list("pk", "change__number", "change__version")))
    to_submit = iter(drafts[half:])
    form = {"Content-Type": "application/x-www-form-urlencoded", "X-CSRFToken": "a" * 32}
    engineer, lead = {"Cookie": cookie("engineer"), **form}, {"Cookie": cookie("tech-lead"), **form}
    ticks = "&".join(f"tick_T{n}=on" for n in range(1, 7))

    def submit() -> Asked:
        return "POST", f"/changes/{next(to_submit)}/act/submit", engineer, "x=1"

    def approve() -> Asked:
        step, number, version = next(to_approve)
        said = f"verdict=approve&version={version}&{ticks}"
        return "POST", f"/changes/{number}/decide/{step}", lead, said

    def write() -> Asked:
        return "POST", "/write", engineer, "x=1"

    return {"submit": (submit, write, ""), "approve": (approve, write, "")}


def _deep_cursor() -> str:
    from requests.listing import encode_cursor

    count = ChangeRequest.objects.count()
    row = ChangeRequest.objects.order_by("-created_at", "-id").only("created_at")[count // 2]
    return encode_cursor(row.created_at, row.pk)


def reading() -> dict[str, tuple[Request, Request, str]]:
    """Name to the page and the floor's answer, asked by the approver for the queue, else by an
    engineer.
    """
    engineer, lead = {"Cookie": cookie("engineer")}, {"Cookie": cookie("tech-lead")}
    closed = ChangeRequest.objects.filter(state="closed").latest("id").number
    now = timezone.now()
    last_month = now.replace(day=1) - timezone.timedelta(days=1)
    paths = {
        "list": ("/changes/", "/list"),
        "filtered": ("/changes/?state=closed&priority=P1", "/filtered"),
        "deep": (f"/changes/?cursor={_deep_cursor()}", "/list"),
        "search": ("/changes/?q=catalogue", "/search"),
        "change": (f"/changes/{closed}/", "/change"),
        "queue": ("/approvals/", "/queue"),
        "calendar": (f"/calendar/?at={now:%Y-%m}", "/calendar"),
        "report": (f"/reports/{last_month:%Y-%m}/", "/report"),
        "gate": (f"/api/v1/gate/{closed}", "/gate"),
    }

    def get(path: str, who: dict[str, str]) -> Request:
        return lambda: ("GET", path, who, "")

    return {
        name: (get(page, lead if name == "queue" else engineer), get(floor, engineer), page)
        for name, (page, floor) in paths.items()
    }


def report(name: str, changes: int, ours: Figures, floor: Figures, sql: int | None) -> None:
    figure = {
        "step": name,
        "changes": changes,
        "product_p50_ms": round(ours["p50_ms"], 2),
        "product_p95_ms": round(ours["p95_ms"], 2),
        "floor_p50_ms": round(floor["p50_ms"], 2),
        "ratio": round(ours["p50_ms"] / floor["p50_ms"], 2),
        "bound": BOUNDS[name],
        "product_per_second": round(ours["per_second"], 1),
        "floor_per_second": round(floor["per_second"], 1),
        "ratio_8": round(ours["per_second"] / floor["per_second"], 2),
        "sql": sql,
        "bytes": int(ours["bytes"]),
    }
    print(json.dumps(figure), flush=True)
    print(
        f"{name:10}{ours['p50_ms']:9.1f}{floor['p50_ms']:8.1f}{figure['ratio']:7.1f}"
        f"{BOUNDS[name]:7.1f}{ours['per_second']:8.0f}{figure['ratio_8']:7.2f}"
        f"{sql if sql is not None else '–':>5}{ours['bytes'] / 1000:6.0f}",
        file=sys.stderr,
    )


def main() -> int:
    options = arguments()
    fill(options.changes)
    steps = reading() | writing(options.rounds, options.waiting)
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
            mine = measure(product, ours, options.rounds, 8)
            least = measure(floor, theirs, options.rounds, 8)
            who = "tech-lead" if name == "queue" else "engineer"
            report(name, options.changes, mine, least, statements(who, path) if path else None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
