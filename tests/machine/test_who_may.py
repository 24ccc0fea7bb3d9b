"""The machine is checked, not sampled: every state × transition × person × priority, against a
table written from domain.md alone.

The table knows nothing of our guards. For each change in each state, `GET …/actions` must say yes
to exactly the people of the table, and doing it over the API must agree: whoever is refused changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import transaction

from accounts.models import User
from audit.models import Event
from requests.models import ChangeRequest
from tests.tries import share
from tests.world import TICKS, Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]

DEVOPS = {"devops", "devops2", "senior-devops", "devops-lead", "oncall"}
REVIEWERS = {
    "technical": {"senior-devops", "tech-lead"},
    "business": {"product-manager", "eng-manager"},
    "security": {"security"},
    "sign_off": {"eng-manager", "devops-lead"},
    "sign_off P3": {"devops", "devops2", "oncall", "senior-devops", "devops-lead"},
    "emergency": {"cto", "emergency-contact"},
}
PLANNED, BEFORE = (
    ("P1", "P2", "P3"),
    ("draft", "in_review", "changes_requested", "approved", "scheduled"),
)
REQUESTER, IMPLEMENTER, MANAGER, ON_CALL = "engineer", "devops", "change-manager", "oncall"
#: Who starts and runs it in the fixture; `devops2` signs a P3, so that `devops` is not its only
#: approver.
OPEN_STEPS = {
    "P0": ["emergency"],
    "P1": ["technical", "business", "security"],
    "P2": ["technical", "business"],
    "P3": ["technical"],
}
#: A P3 whose users notice nothing needs no business approval; the P1 of this file touches
#: authentication.
STATES = [
    *BEFORE,
    "implementing",
    "verifying",
    "rolling_back",
    "completed",
    "rolled_back",
    "failed",
    "closed",
    "rejected",
    "cancelled",
]
VERBS = ["submit", "request_changes", "reject", "approve", "revise", "record", "expire", "lapse",
    "escalate", "schedule", "reschedule", "unschedule", "start", "finish", "complete",
         "roll_back", "finish_rollback", "fail", "close", "cancel"]  # fmt: skip


def expected(priority: str, state: str, verb: str) -> set[str]:
    """Who may do it: usernames. From the table of transitions, domain.md."""
    runs = {IMPLEMENTER}  # the person in the field
    deciders = {name for kind in OPEN_STEPS[priority] for name in REVIEWERS[kind]}
    match verb:
        case "submit":
            return {REQUESTER} if state in ("draft", "changes_requested") else set()
        case "request_changes" | "reject" | "approve":
            return deciders if state == "in_review" else set()
        case "escalate":
            return (
                {REQUESTER, ON_CALL, MANAGER}
                if state in ("in_review", "approved", "scheduled") and priority != "P0"
                else set()
            )
        case "schedule":
            return {REQUESTER, MANAGER} | DEVOPS if state == "approved" else set()
        case "reschedule" | "unschedule":
            return {REQUESTER, MANAGER} | DEVOPS if state == "scheduled" else set()
        case "start":
            ready = state == "scheduled" or (state == "approved" and priority == "P0")
            alone = {ON_CALL} if priority == "P0" and state == "in_review" else set()  # A33
            return (runs if ready else set()) | alone
        case "finish":
            return runs if state == "implementing" else set()
        case "complete":
            return runs if state == "verifying" else set()
        case "roll_back":
            return (
                runs | {ON_CALL}
                if state in ("implementing", "verifying", "completed", "closed")
                else set()
            )
        case "finish_rollback":
            return runs if state == "rolling_back" else set()
        case "fail":
            return (
                runs | {MANAGER}
                if state in ("implementing", "verifying", "rolling_back", "completed", "closed")
                else set()
            )
        case "cancel":
            return {REQUESTER, MANAGER} if state in BEFORE else set()
        case "close":
            return set()  # what is owed is not in yet, and with it the change closes by itself
        case _:
            return set()  # revise and lapse: nobody by hand


class Road:
    """Brings a change of one priority to any state, by the people of the table, and stops there."""

    def __init__(self, desk: Sit, at: Any) -> None:
        self.desk, self.at = desk, at

    def to(self, state: str, priority: str) -> str:
        self.at(
            "2026-10-05T09:00Z" if priority == "P0" else "2026-10-01T09:00Z"
        )  # an authorisation holds for a day (A32)
        window = (
            {"requested_date": "2026-10-05"}
            if priority == "P0"
            else {"requested_window": {"start": "2026-10-06T02:00Z"}}
        )
        answers = {"affects_authentication": True} if priority == "P1" else {}
        number = str(
            self.desk(REQUESTER).create(priority, implementer=IMPLEMENTER, **window, **answers)[
                "id"
            ]
        )
        for step in self._steps(state, priority):
            step(number)
        found = self.desk("auditor").get(f"/changes/{number}")
        assert (found["state"], found["priority"]) == (state, priority)
        return number

    def _steps(self, state: str, priority: str) -> Iterator[Callable[[str], Any]]:
        desk, first = self.desk, OPEN_STEPS[priority][0]
        judge = {"technical": "tech-lead", "emergency": "cto"}[first]
        if state == "draft":
            return
        yield lambda n: desk(REQUESTER).post(f"/changes/{n}/submit")
        if state == "cancelled":
            yield lambda n: desk(REQUESTER).post(f"/changes/{n}/cancel", {"reason": "Not needed"})
        if state == "changes_requested":
            yield lambda n: desk(judge).decide(n, first, "request_changes", comment="Say more")
        if state == "rejected":
            yield lambda n: desk(judge).decide(n, first, "reject", comment="No")
        if state in ("in_review", "cancelled", "changes_requested", "rejected"):
            return
        yield lambda n: self._approve(n, priority)
        if state == "approved":
            if priority != "P0":
                yield lambda n: desk(REQUESTER).post(
                    f"/changes/{n}/unschedule", {"reason": "Later"}
                )
            return
        if state == "scheduled":
            if priority == "P0":
                yield lambda n: desk(REQUESTER).post(
                    f"/changes/{n}/schedule", {"start": "2026-10-06T02:00Z"}
                )
            yield self._open
            return
        yield self._open
        yield lambda n: desk(IMPLEMENTER).post(f"/changes/{n}/start")
        if state == "implementing":
            yield lambda n: desk(IMPLEMENTER).tick_off(n, "start", "during")
            return
        if state in ("rolling_back", "rolled_back"):
            yield lambda n: desk(IMPLEMENTER).post(f"/changes/{n}/roll-back", {"reason": "Errors"})
            yield lambda n: desk(IMPLEMENTER).tick_off(n, "rollback")
            if state == "rolled_back":
                yield lambda n: desk(IMPLEMENTER).post(f"/changes/{n}/finish-rollback")
            return
        if state == "failed":
            yield lambda n: desk(IMPLEMENTER).post(f"/changes/{n}/fail", {"reason": "Errors"})
            return
        yield lambda n: desk(IMPLEMENTER).tick_off(n, "start", "during")
        yield lambda n: desk(IMPLEMENTER).post(f"/changes/{n}/finish")
        yield lambda n: desk(IMPLEMENTER).tick_off(n, "post")
        yield lambda n: self.at("2026-10-06T03:30Z")
        if state in ("completed", "closed"):
            yield lambda n: desk(IMPLEMENTER).post(f"/changes/{n}/complete")
        if state == "closed":
            yield lambda n: self._close(n, priority)

    def _open(self, number: str) -> None:
        self.at("2026-10-06T02:00Z")
        self.desk(IMPLEMENTER).tick_off(number, "pre")

    def _approve(self, number: str, priority: str) -> None:
        givers = {
            "technical": ["tech-lead"],
            "business": ["product-manager"],
            "security": ["security"],
            "emergency": ["cto"],
        }
        for kind in OPEN_STEPS[priority]:
            self.desk(givers[kind][0]).decide(number, kind)
        if priority != "P0":
            for who in ["devops2"] if priority == "P3" else ["eng-manager", "devops-lead"]:
                self.desk(who).decide(number, "sign_off")

    def _close(self, number: str, priority: str) -> None:
        self.desk(IMPLEMENTER).put(
            f"/changes/{number}/review", {"summary": "It went as planned", "runbook_updated": True}
        )
        if priority == "P0":
            self.desk("change-manager").post(
                f"/changes/{number}/review/confirmation", {"p0_justified": True}
            )
            for who, kind in (("tech-lead", "technical"), ("product-manager", "business")):
                self.desk(who).decide(number, kind)


BODIES: dict[str, dict[str, Any]] = {
    "escalate": {
        "reason": "It is down",
        "emergency_kind": "outage",
        "emergency_reference": "INC-1",
    },
    "schedule": {"start": "2026-10-08T02:00Z", "short_notice_reason": "Now"},
    "reschedule": {"start": "2026-10-08T02:00Z", "short_notice_reason": "Now"},
    "complete": {"reason": "All is well"},
}
PATHS = {"reschedule": "schedule", "roll_back": "roll-back", "finish_rollback": "finish-rollback"}
BY_HAND = [
    verb
    for verb in VERBS
    if verb not in ("approve", "reject", "request_changes", "revise", "record", "expire", "lapse")
]


class Undo(Exception):
    pass


@pytest.mark.parametrize("priority", ["P0", "P1", "P2", "P3"])
@pytest.mark.parametrize("state", STATES)
def test_exactly_the_people_of_the_table_may(desk: Sit, at: Any, state: str, priority: str) -> None:
    """Promises 1 and 8, A2, A3, A26-A30: 14 states × 20 transitions × 18 people × 4 priorities;
    what is refused leaves no trace but the refusal.
    """
    stranger = User.objects.create_user("stranger", email="s@example.com")
    User.objects.create_superuser("root", "r@example.com", "x")
    stranger.save()
    number = Road(desk, at).to(state, priority)
    people = sorted(User.objects.values_list("username", flat=True))
    assert len(people) >= 18
    wrong = []
    for person in people:
        allowed = {
            item["name"]
            for item in desk(person).get(f"/changes/{number}/actions")["items"]
            if item["allowed"]
        }
        for verb in VERBS:
            may = person in expected(priority, state, verb)
            if may != (verb in allowed):
                wrong.append(f"{person} {verb}: {'refused' if may else 'offered'}")
    assert not wrong, wrong
    if priority in ("P0", "P2"):  # P1 and P3 go by the same services
        refused_by_doing(
            desk,
            number,
            state,
            priority,
            share(people, 3, STATES.index(state) + (priority == "P0")),
        )


def refused_by_doing(
    desk: Sit, number: str, state: str, priority: str, people: Sequence[str]
) -> None:
    """The door agrees with what it said: each verb by each person, undone again."""
    change = ChangeRequest.objects.get(number=number)
    before = (
        change.state,
        change.version,
        change.round,
        Event.objects.filter(change_id=change.pk).count(),
    )
    for person in people:
        for verb in BY_HAND:
            may = person in expected(priority, state, verb)
            try:
                with transaction.atomic():
                    path = f"/changes/{number}/{PATHS.get(verb, verb)}"
                    body = BODIES.get(verb, {"reason": "Because"})
                    desk(person).call(
                        "POST",
                        path,
                        (
                            body | {"start": "2026-10-06T03:00Z"}
                            if priority == "P0" and "start" in body
                            else body
                        ),
                    )
                    status = desk(person).status
                    assert (status == 200) == (
                        may or _by_the_other_name(priority, state, verb, person)
                    ), (person, verb, status)
                    if status != 200:
                        change = ChangeRequest.objects.get(number=number)
                        now = (
                            Event.objects.filter(change_id=change.pk)
                            .exclude(action="access.refused")
                            .count()
                        )
                        assert (change.state, change.version, change.round, now) == before
                    raise Undo
            except Undo:
                continue


def _by_the_other_name(priority: str, state: str, verb: str, person: str) -> bool:
    """`schedule` and `reschedule` are one address."""
    other = {"schedule": "reschedule", "reschedule": "schedule"}.get(verb)
    return other is not None and person in expected(priority, state, other)


@pytest.mark.parametrize("priority", ["P0", "P1", "P2", "P3"])
def test_no_relation_to_the_change_lets_its_author_decide(
    desk: Sit, at: Any, priority: str
) -> None:
    """Promise 1: whoever requested or edited it is refused by every step, whatever roles they hold,
    superuser or not.
    """
    at("2026-10-01T09:00Z")
    every = Group.objects.exclude(name__in=["auditor", "manager"])
    for relation in ("requester", "editor", "former requester", "superuser"):
        person = User.objects.create_user(
            f"all-{relation.replace(' ', '-')}-{priority}".lower(), email="a@example.com"
        )
        person.is_superuser = relation == "superuser"
        person.save()
        person.groups.set(every)
        me = Desk(User.objects.get(pk=person.pk))
        answers = {"affects_authentication": True} if priority == "P1" else {}
        owner = (
            me if relation in ("requester", "former requester", "superuser") else desk("engineer")
        )
        number = str(owner.create(priority, **answers)["id"])
        if relation == "editor":
            me.patch(
                f"/changes/{number}",
                {"version": me.get(f"/changes/{number}")["version"], "summary": "Edited by me"},
            )
        if relation == "former requester":
            me.post(f"/changes/{number}/transfer", {"requester": "engineer"})
        (desk("engineer") if relation != "requester" and relation != "superuser" else me).post(
            f"/changes/{number}/submit"
        )
        for step in me.steps(number):
            for verdict in ("approve", "reject", "request_changes", "waive"):
                body = {
                    "verdict": verdict,
                    "comment": "x",
                    "version": me.get(f"/changes/{number}")["version"],
                    "checklist": dict.fromkeys(TICKS["technical"], True),
                }
                refusal = me.post(
                    f"/changes/{number}/steps/{step['id']}/decision", body, expect=403
                )
                assert refusal["code"] == "own_change", (relation, step["kind"])
        assert not ChangeRequest.objects.get(number=number).decisions.exists()
