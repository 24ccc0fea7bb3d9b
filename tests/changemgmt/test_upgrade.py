"""A database made by f3ca2a1, with changes in every state, is brought up to date: nothing falls.

tests/data/upgrade holds the database and what f3ca2a1 itself answered of it. Today's code is asked
in the same words at the same instant, after its own `migrate` and `setup_process`. New lines,
fields and verbs are welcome; what was there is there and says the same.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "upgrade"
OLD: dict[str, Any] = json.loads((DATA / "f3ca2a1.json").read_text())
CHANGES: dict[str, Any] = OLD["changes"]
NOW = "2026-10-06T02:45:00Z"  # as tests/answers.py asks
SETTINGS = {"DJANGO_SETTINGS_MODULE": "changemgmt.settings.test", "RATE_LIMITS": "0"}
WORDS = ["setup", "verify", "count", "stand", "go", "tick", "stand", "recount", "act"]

STATES = [
    *("draft", "in_review", "changes_requested", "approved", "scheduled"),
    *("implementing", "verifying"),
    *("rolling_back", "completed", "rolled_back", "failed", "closed", "rejected", "cancelled"),
]
STORIES = {
    "P2 one of two sign-offs": "in_review",
    "P2 a sign-off given ahead": "in_review",
    "P2 a delegate's decision": "scheduled",
    "P0 approved by telephone, not confirmed yet": "approved",
    "P2 a lowered risk": "scheduled",
    "P1 high risk by rolling, half reviewed": "in_review",
    "P2 high risk by rolling, with its reason": "scheduled",
    "P2 high risk by rolling, without a reason": "scheduled",
    "P2 risk answers rewritten after its approval": "scheduled",
    "P3 T2 answered not applicable": "scheduled",
    "P2 a freeze exception, booked": "scheduled",
    "P1 a freeze exception, half granted": "approved",
    "P2 a conflict overridden": "scheduled",
    "P2 revised after its approval": "scheduled",
    "P1 revised, and half approved again": "in_review",
    "P2 confidential": "scheduled",
    "P2 A of a ring: needs B": "approved",
    "P2 B of a ring: needs A": "approved",
    "P2 needs a completed one": "scheduled",
    "P0 escalated from P2": "approved",
    "P0 started before its authorisation": "implementing",
    "P2 missed its slot": "approved",
    "P3 missed its slot": "scheduled",
    "P2 a security review added and waived": "scheduled",
}
#: What each change keeps, beside its steps.
STANDING = [
    *("priority", "state", "outcome", "round", "version", "slot"),
    *("requester", "implementer", "approved_at"),
]


# --- the database --------------------------------------------------------------------------------


@contextmanager
def loaded() -> Iterator[str]:
    """An address of the old database, on the server of this run, gone afterwards."""
    name = f"upgrade_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    server = os.environ["DATABASE_URL"]
    url = urlsplit(server)._replace(path=f"/{name}").geturl()
    run_sql(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    run_sql(server, f"CREATE DATABASE {name}")
    try:
        run_sql(url, gzip.decompress((DATA / "f3ca2a1.sql.gz").read_bytes()).decode())
        yield url
    finally:
        run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


def run_sql(url: str, sql: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        connection.cursor().execute(sql)
    finally:
        connection.close()


def manage(url: str, *words: str, may_fail: bool = False, **more: str) -> str:
    """What a management command says on that database, as an operator gives it."""
    env = {**os.environ, **SETTINGS, "DATABASE_URL": url, **more}
    command = [sys.executable, "manage.py", *words]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    said = f"{words}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    assert may_fail or done.returncode == 0, said
    return done.stdout if done.returncode == 0 else said


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What today's code answers, word by word, of the database that it has brought up to date."""
    head = tmp_path_factory.mktemp("upgrade") / "head.json"
    head.write_text(json.dumps(OLD["audit"]))
    code = f"from tests import answers; answers.main({WORDS!r})"
    with loaded() as url:
        manage(url, "migrate", "--no-input", "--verbosity=0", CHANGEMGMT_CLOCK=NOW)
        answers = manage(url, "shell", "--no-imports", "-c", code).splitlines()
        passes = manage(url, "verify_audit", "--head", str(head), may_fail=True)
    names = ["setup", "verify", "count", "stand", "go", "tick", "after", "recount", "act"]
    return dict(zip(names, map(json.loads, answers), strict=True)) | {"passes": passes}


# --- what it is compared with --------------------------------------------------------------------


def within(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Where the new lacks something of the old, or says something else; additions are welcome."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name, value in old.items():
            yield from within(value, new.get(name, "gone"), f"{place} {name}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (was, now) in enumerate(zip(old, new, strict=True)):
            yield from within(was, now, f"{place} {index}")
    elif old != new:
        yield f"{place}: {old!r} became {new!r}"


def moved(answer: dict[str, Any], names: list[str]) -> list[str]:
    """Each change that does not say the same under these names."""
    lines: list[str] = []
    for number, old in CHANGES.items():
        was, now = {name: old[name] for name in names}, answer["changes"].get(number, "gone")
        lines += within(was, now, f"{number} ({old['label']})")
    return lines


def startable() -> set[str]:
    return {n for n, old in CHANGES.items() if "start" in (old["actions"].get("devops") or [])}


# --- the tests -----------------------------------------------------------------------------------


def test_the_old_database_holds_every_state_of_every_priority_and_the_hard_stories() -> None:
    """A35: what the other tests of this file compare is all there."""
    have = {(old["priority"], old["state"]) for old in CHANGES.values()}
    assert have == {(priority, state) for priority in ("P0", "P1", "P2", "P3") for state in STATES}
    told = {old["label"]: old["state"] for old in CHANGES.values()}
    assert {label: told.get(label) for label in STORIES} == STORIES
    assert [tuple(stored[:3]) for stored in OLD["stored"]] == [
        ("2026-09-01", 1, "preliminary"),
        ("2026-09-01", 2, "issued"),
        ("2026-09-01", 3, "issued"),
    ]
    assert [proposal["kind"] for proposal in OLD["proposals"]] == ["calendar", "policy"]
    assert (len(startable()), OLD["audit"]["ok"]) == (16, True)


def test_every_change_stands_where_it_stood(today: dict[str, Any]) -> None:
    """A35: state, outcome, round, version and slot of each, and the bookings behind the slots."""
    assert moved(today["stand"], STANDING) == []
    assert today["stand"]["bookings"] == OLD["bookings"]


def test_no_step_loses_its_state_or_a_decision(today: dict[str, Any]) -> None:
    """A35, A2, A4: who gave which verdict, in whose name, by which role, when, in which words."""
    assert moved(today["stand"], ["steps"]) == []


def test_the_gate_allows_what_it_allowed_and_refuses_what_it_refused(today: dict[str, Any]) -> None:
    """A35, R72, R74: in a window, in none, at one's own slot. A rollback's gate may open (A30)."""
    wrong = []
    for number, old in CHANGES.items():
        for name, was in old["gate"].items():
            now = today["go"]["changes"][number]["gate"][name]
            may_open = old["state"] == "rolling_back"
            if now["allow"] != was["allow"] and not (may_open and now["allow"]):
                wrong.append(f"{number} ({old['label']}), {name}: {was} became {now}")
    assert wrong == []


def test_whoever_could_act_still_can_and_nobody_else_approves_or_starts(
    today: dict[str, Any],
) -> None:
    """A35, A2, A26: requester, DevOps and CTO; verbs that have come since are none of the old."""
    wrong = []
    for number, old in CHANGES.items():
        for who, could in old["actions"].items():
            can = today["go"]["changes"][number]["actions"][who]
            lost = (
                set(could or []) - set(can or []) - {"submit"}
            )  # it now answers what submitting would (X3)
            won = {"approve", "start"} & (set(can or []) - set(could or []))
            if lost or won or (could is None) != (can is None):
                wrong.append(f"{number} ({old['label']}), {who}: lost {lost}, won {won}")
    assert wrong == []


def test_what_was_done_and_found_is_kept(today: dict[str, Any]) -> None:
    """A35, A6, A10, A27: checklists, issues, exceptions, proposals; no row of evidence is gone."""
    assert moved(today["go"], ["checklist", "issues", "exceptions"]) == []
    assert list(within(OLD["proposals"], today["go"]["proposals"])) == []
    kept, had = today["count"]["evidence"], OLD["evidence"]
    assert {table: kept[table] for table in had if kept[table] < had[table]} == {}


def test_no_figure_is_lost(today: dict[str, Any]) -> None:
    """A8, A9, A31: the months as read, every stored version, and a month's figures made anew."""
    assert list(within(OLD["reports"], today["count"]["reports"])) == []
    assert list(within(OLD["stored"], today["count"]["stored"])) == []
    figures = OLD["reports"]["2026-09"]
    figures = {name: figures[name] for name in figures if name not in ("version", "issued_at")}
    assert list(within(figures, today["recount"])) == []


def test_the_trail_is_sound_and_goes_on_from_the_old_head(today: dict[str, Any]) -> None:
    """R148, R149, R150, R151: sound at once, and by the old head after what people then did."""
    assert today["verify"]["ok"], today["verify"]
    assert today["passes"].startswith("{"), today["passes"]
    after = json.loads(today["passes"])
    assert after["ok"]
    assert OLD["audit"]["events"] <= today["verify"]["events"] < after["events"]


def test_a_tick_takes_no_approval_and_no_slot(today: dict[str, Any]) -> None:
    """A35: the duties of today's clock, at the instant of the old code's last tick."""
    assert moved(today["after"], [*STANDING, "steps"]) == []
    assert today["after"]["bookings"] == OLD["bookings"]


def test_what_could_start_starts_and_what_was_said_by_telephone_is_confirmed(
    today: dict[str, Any],
) -> None:
    """A35, A4: the door does what gate and actions say."""
    act = today["act"]
    started = {number: answer.get("state") for number, answer in act["started"].items()}
    assert started == dict.fromkeys(startable(), "implementing"), act["started"]
    confirmed = {CHANGES[n]["label"]: answer.get("state") for n, answer in act["confirmed"].items()}
    assert confirmed == {"P0 approved by telephone, not confirmed yet": "approved"}
