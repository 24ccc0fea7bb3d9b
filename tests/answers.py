"""What a database answers over the API at a fixed instant, and what comes of acts then.

`main` runs inside `manage.py shell`, one JSON object a word. f3ca2a1 was asked in the same words
by its own code (tests/data/upgrade/f3ca2a1.json), so that tests/changemgmt/test_upgrade.py can
compare. Only what the contract promises is asked; SQL tells what has no address.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

import time_machine
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import setup_test_environment

from accounts.models import User
from changemgmt.tick import tick

NOW = "2026-10-06T02:45:00Z"  # a Tuesday, in the primary window; the old code's last tick was then
OUTSIDE = "2026-10-06T12:00:00Z"  # in no window; every emergency was authorised less than a day ago
MONTHS = ("2026-09", "2026-10")
PEOPLE = ("engineer", "engineer2", "security", "devops", "cto")
#: States in which nobody acts any more, without a checklist yet, and with a run ahead or begun.
OVER = ("rejected", "cancelled")
BEFORE = ("draft", "in_review", "changes_requested", "rejected")
READY = ("approved", "scheduled", "implementing")
STANDING = (
    *("priority", "state", "outcome", "slot", "version"),
    *("requester", "implementer", "approved_at"),
)
STEP = ("round", "stage", "kind", "mode", "roles", "state")
DECISION = ("by", "for", "role", "verdict", "comment", "at")
ISSUE = ("n", "severity", "summary", "link", "detected_at", "resolved_at")
PROPOSAL = ("kind", "subject", "widens", "state", "by")
EXCEPTION = ("slot_start", "reason", "standing", "asked_by", "cto", "change_manager")
EVIDENCE = (
    *("requests_changerequest", "requests_author", "requests_comment", "requests_suggestion"),
    *("requests_watch", "approvals_step", "approvals_decision", "approvals_advance"),
    *("approvals_confirmation", "approvals_policy", "approvals_policydraft"),
    *("accounts_delegation", "implementation_checklistitem", "implementation_logentry"),
    *("implementation_check", "implementation_issue", "implementation_review"),
    *("implementation_documentation", "windows_maintenancewindow", "windows_closure"),
    *("windows_freezeexception", "proposals_proposal", "notifications_message"),
    *("audit_event", "audit_link"),
)
BOOKINGS = (
    "SELECT c.number, p.slug, lower(b.during), upper(b.during), b.exclusive FROM windows_booking b"
    " JOIN requests_changerequest c ON c.id = b.change_id"
    " JOIN requests_component p ON p.id = b.component_id ORDER BY 1, 2"
)
STORED = "SELECT month, version, status, figures FROM reports_monthlyreport ORDER BY 1, 2"


class Asker:
    """Somebody signed in, for as long as the clock stands."""

    def __init__(self, username: str) -> None:
        self.client = Client()
        self.client.force_login(User.objects.get(username=username))

    def ask(self, path: str) -> Any:
        """The answer; None where there is nothing that this person may see."""
        answer = self.client.get(f"/api/v1{path}")
        assert answer.status_code in (200, 404), (path, answer.status_code, answer.content)
        return answer.json() if answer.status_code == 200 else None

    def items(self, path: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
        return [pick(item, names) for item in self.ask(path)["items"]]

    def do(self, path: str, body: Any = None) -> Any:
        address, kind = f"/api/v1{path}", "application/json"
        return self.client.post(address, body or {}, content_type=kind).json()

    def allowed(self, number: str) -> list[str] | None:
        """What the person may do now; None where they may not even see it."""
        answer = self.ask(f"/changes/{number}/actions")
        return answer and sorted(item["name"] for item in answer["items"] if item["allowed"])


def pick(values: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: values[name] for name in names}


def changes(auditor: Asker) -> list[dict[str, Any]]:
    """All of them, by number."""
    found, cursor = [], ""
    while cursor is not None:
        page = auditor.ask(f"/changes?limit=200&cursor={cursor}")
        found += page["items"]
        cursor = page["next"]
    return sorted(found, key=lambda change: str(change["id"]))


def rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


# --- the words -----------------------------------------------------------------------------------


def setup() -> dict[str, Any]:
    """What every start of the product does after `migrate`."""
    call_command("setup_process", stdout=io.StringIO())
    return {}


def verify() -> Any:
    return Asker("auditor").ask("/audit/verify")


def count() -> dict[str, Any]:
    """The months' reports as read, each version as stored; how much evidence is kept."""
    auditor = Asker("auditor")
    counts = {table: rows(f"SELECT count(*) FROM {table}")[0][0] for table in EVIDENCE}
    return {
        "reports": {month: auditor.ask(f"/reports/monthly/{month}.json") for month in MONTHS},
        "stored": [(*row, json.loads(figures)) for *row, figures in rows(STORED)],
        "evidence": counts,
    }


def stand() -> dict[str, Any]:
    """Where each change stands: state, round, slot, steps and decisions; what is booked."""
    auditor = Asker("auditor")
    found = {}
    for change in changes(auditor):
        steps = auditor.ask(f"/changes/{change['id']}/steps")["items"]
        last = max((step["round"] for step in steps), default=0)
        more = {"round": last, "steps": [step_out(step) for step in steps]}
        found[change["id"]] = pick(change, STANDING) | more
    return {"changes": found, "bookings": rows(BOOKINGS)}


def step_out(step: dict[str, Any]) -> dict[str, Any]:
    keys = [item["key"] for item in step["checklist"]]
    decisions = [pick(decision, DECISION) for decision in step["decisions"]]
    return pick(step, STEP) | {"checklist": keys, "decisions": decisions}


def go() -> dict[str, Any]:
    """How each may go on: gate, acts, checklist, issues, exceptions; which proposals wait."""
    auditor = Asker("auditor")
    askers = {name: Asker(name) for name in PEOPLE}
    found = {}
    for change in changes(auditor):
        number, path, state = change["id"], f"/changes/{change['id']}", change["state"]
        found[number] = {
            "gate": gate(auditor, number, state, change["slot"]),
            "actions": {} if state in OVER else actions(askers, change),
            "checklist": {} if state in BEFORE else checklist(auditor, path),
            "issues": [] if state in BEFORE else auditor.items(f"{path}/issues", ISSUE),
            "exceptions": exceptions(auditor, path) if state in READY else [],
        }
    return {"changes": found, "proposals": auditor.items("/proposals", PROPOSAL)}


def gate(auditor: Asker, number: str, state: str, slot: Any) -> dict[str, Any]:
    """The gate now, in no window, and at the slot's start: whether it allows, and why not."""
    instants = {"now": NOW}
    if state in READY:
        instants |= {"outside": OUTSIDE} | ({"slot": slot["start"]} if slot else {})
    found = {}
    for name, at in instants.items():
        answer = auditor.ask(f"/gate/{number}?at={at}")
        codes = [reason["code"] for reason in answer["reasons"]]
        found[name] = {"allow": answer["allow"], "codes": codes}
    return found


def actions(askers: dict[str, Asker], change: dict[str, Any]) -> dict[str, list[str] | None]:
    people = {"requester": change["requester"], "devops": "devops", "cto": "cto"}
    return {name: askers[who].allowed(change["id"]) for name, who in people.items()}


def exceptions(auditor: Asker, path: str) -> list[dict[str, Any]]:
    return auditor.items(f"{path}/freeze-exceptions", EXCEPTION)


def checklist(auditor: Asker, path: str) -> dict[str, list[str]]:
    phases: dict[str, list[str]] = {}
    for item in auditor.ask(f"{path}/checklist")["items"]:
        phases.setdefault(item["phase"], []).append(item["state"])
    return phases


def recount() -> Any:
    """The month whose report is stored, as it is after its figures were computed again."""
    call_command("generate_report", "monthly", MONTHS[0], stdout=io.StringIO())
    return Asker("auditor").ask(f"/reports/monthly/{MONTHS[0]}.json")


def act() -> dict[str, Any]:
    """The CTO confirms what was recorded in their name; DevOps starts whatever it may start."""
    auditor, devops, cto = Asker("auditor"), Asker("devops"), Asker("cto")
    confirmed, started = {}, {}
    for change in changes(auditor):
        number, path = change["id"], f"/changes/{change['id']}"
        if change["state"] not in ("approved", "scheduled"):
            continue
        for step in auditor.ask(f"{path}/steps")["items"] if change["priority"] == "P0" else []:
            if any(decision["for"] == "cto" for decision in step["decisions"]):
                answer = {"answer": "approved"}
                confirmed[number] = cto.do(f"{path}/steps/{step['id']}/confirmation", answer)
        if "start" in (devops.allowed(number) or []):
            started[number] = devops.do(f"{path}/start")
    return {"confirmed": confirmed, "started": started}


WORDS: dict[str, Callable[[], dict[str, Any]]] = {
    "setup": setup,
    "verify": verify,
    "count": count,
    "stand": stand,
    "go": go,
    "tick": tick,
    "recount": recount,
    "act": act,
}


def main(words: list[str]) -> None:
    setup_test_environment()  # mail stays in memory
    with time_machine.travel(datetime.fromisoformat(NOW), tick=False):
        for word in words:
            sys.stdout.write(json.dumps(WORDS[word](), default=str) + "\n")
