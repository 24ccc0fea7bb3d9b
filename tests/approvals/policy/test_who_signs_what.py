"""Who signs what: the steps of every priority against everybody, as the document names them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group

from accounts.models import Duty, User
from tests.approvals.everybody import EVERYBODY, only, tried_only
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
#: Stage, kind, roles in the document's order, mode, how many people.
StepRow = tuple[int, str, list[str], str, int]

TECHNICAL: StepRow = (1, "technical", ["senior-devops-engineer", "tech-lead"], "any", 1)
SECURITY: StepRow = (1, "security", ["security-engineer"], "any", 1)
BUSINESS: StepRow = (1, "business", ["product-manager", "engineering-manager"], "any", 1)
MANAGERS: StepRow = (2, "sign_off", ["engineering-manager", "devops-lead"], "all", 2)
DEVOPS: StepRow = (
    2,
    "sign_off",
    ["devops-engineer", "senior-devops-engineer", "devops-lead"],
    "any",
    1,
)
EMERGENCY: StepRow = (1, "emergency", ["cto", "emergency-contact"], "any", 1)

ASKS_SECURITY = {"affects_network": True}
DOWNTIME = {"downtime_required": True, "downtime_minutes": 5}


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def give(username: str, *roles: str) -> None:
    User.objects.get(username=username).groups.add(*Group.objects.filter(name__in=roles))


@pytest.mark.parametrize(
    ("priority", "facts", "expected"),
    [
        ("P1", {}, [TECHNICAL, BUSINESS, MANAGERS]),
        ("P2", {}, [TECHNICAL, BUSINESS, MANAGERS]),
        ("P1", ASKS_SECURITY, [TECHNICAL, SECURITY, BUSINESS, MANAGERS]),
        ("P2", {"affects_authentication": True}, [TECHNICAL, SECURITY, BUSINESS, MANAGERS]),
        ("P2", {"affects_authorization": True}, [TECHNICAL, SECURITY, BUSINESS, MANAGERS]),
        ("P2", {"affects_data_access": True}, [TECHNICAL, SECURITY, BUSINESS, MANAGERS]),
        ("P2", {"affects_network": True}, [TECHNICAL, SECURITY, BUSINESS, MANAGERS]),
        ("P2", {"components": ["cdn", "payments"]}, [TECHNICAL, SECURITY, BUSINESS, MANAGERS]),
        ("P2", DOWNTIME, [TECHNICAL, BUSINESS, MANAGERS]),
        ("P3", {}, [TECHNICAL, DEVOPS]),
        ("P3", {"risk": "high", "strategy": "canary"}, [TECHNICAL, DEVOPS]),
        ("P3", DOWNTIME, [TECHNICAL, BUSINESS, DEVOPS]),
        ("P3", {"users_affected": True}, [TECHNICAL, BUSINESS, DEVOPS]),
        ("P3", {"affects_authentication": True}, [TECHNICAL, SECURITY, DEVOPS]),
        ("P3", {"affects_authorization": True}, [TECHNICAL, SECURITY, DEVOPS]),
        ("P3", {"affects_data_access": True}, [TECHNICAL, SECURITY, DEVOPS]),
        ("P3", {"affects_network": True}, [TECHNICAL, SECURITY, DEVOPS]),
        ("P3", {"components": ["accounts"]}, [TECHNICAL, SECURITY, DEVOPS]),
        ("P3", ASKS_SECURITY | DOWNTIME, [TECHNICAL, SECURITY, BUSINESS, DEVOPS]),
        ("P0", {}, [EMERGENCY]),
        ("P0", ASKS_SECURITY | DOWNTIME | {"users_affected": True}, [EMERGENCY]),
    ],
)  # fmt: skip
def test_the_steps_that_these_facts_ask_for(
    desk: Sit,
    priority: str,
    facts: dict[str, Any],
    expected: list[StepRow],
) -> None:
    """R3, R7, R11, R37, R43, R44, R49, A2, A3, A16: which, by whom, one of them or all of them."""
    number = desk("engineer").submit(priority, **facts)["id"]
    assert rows(desk("engineer"), number) == expected


def rows(desk: Desk, number: str, *, deferred: bool = False) -> list[StepRow]:
    steps = [step for step in desk.steps(number) if step["deferred"] == deferred]
    return [(s["stage"], s["kind"], s["roles"], s["mode"], s["needed"]) for s in steps]


def answers(desk: Sit, number: str, kind: str) -> dict[str, int]:
    """Everybody, and the status that their approval of that step would have."""
    step = next(s for s in desk("auditor").steps(number) if s["kind"] == kind)
    body = {"verdict": "approve", "version": desk("auditor").get(f"/changes/{number}")["version"]}
    body["checklist"] = {item["key"]: True for item in step["checklist"]}
    path, found = f"/api/v1/changes/{number}/steps/{step['id']}/decision", {}
    for username in EVERYBODY:
        client = desk(username).client
        if "sessionid" not in client.cookies:
            client.force_login(desk(username).user)
        with tried_only():
            answer = client.post(path, body, content_type="application/json")
            found[username] = answer.status_code
    return found


@pytest.mark.parametrize("priority", ["P1", "P2"])
def test_who_signs_a_standard_change(desk: Sit, priority: str) -> None:
    """R7, R37, R43, R49, A2, A26: every step against everybody."""
    number = desk("engineer").submit(priority, **ASKS_SECURITY)["id"]
    assert answers(desk, number, "technical") == only("senior-devops", "tech-lead")
    assert answers(desk, number, "security") == only("security")
    assert answers(desk, number, "business") == only("product-manager", "eng-manager")
    reviewed(desk, number, "security", "business")
    assert answers(desk, number, "sign_off") == only("eng-manager", "devops-lead")


@pytest.mark.parametrize(
    ("priority", "first", "other"),
    [("P1", "eng-manager", "devops-lead"), ("P2", "devops-lead", "eng-manager")],
)
def test_one_half_of_a_sign_off_leaves_the_other_to_its_role(
    desk: Sit,
    priority: str,
    first: str,
    other: str,
) -> None:
    """R7, A2, A3: manager and lead, in any order; nobody else ends it, and no one of them twice."""
    number = desk("engineer").submit(priority)["id"]
    reviewed(desk, number, "business")
    assert desk(first).decide(number, "sign_off")["state"] == "open"
    assert answers(desk, number, "sign_off") == only(other) | {first: 409}
    assert desk(other).decide(number, "sign_off")["state"] == "approved"


def test_who_signs_a_normal_change(desk: Sit) -> None:
    """R11, R37, R43, R49, A2: one DevOps engineer, senior or lead; a plain engineer never."""
    number = desk("engineer").submit("P3", **ASKS_SECURITY, **DOWNTIME)["id"]
    assert answers(desk, number, "technical") == only("senior-devops", "tech-lead")
    assert answers(desk, number, "security") == only("security")
    assert answers(desk, number, "business") == only("product-manager", "eng-manager")
    reviewed(desk, number, "security", "business")
    devops = ("devops", "devops2", "oncall", "senior-devops", "devops-lead")
    assert answers(desk, number, "sign_off") == only(*devops)
    assert desk("devops2").decide(number, "sign_off")["state"] == "approved"


def test_who_authorises_an_emergency_and_who_gives_its_owed_reviews(desk: Sit) -> None:
    """R3, A2, A3: the CTO or the contact on duty; the reviews follow when it has ended."""
    number = desk("engineer").submit("P0", **ASKS_SECURITY)["id"]
    assert answers(desk, number, "emergency") == only("cto", "emergency-contact")
    desk("emergency-contact").decide(number, "emergency")
    assert rows(desk("engineer"), number, deferred=True) == [], "none before it has ended"
    desk("oncall").post(f"/changes/{number}/start")
    desk("oncall").post(f"/changes/{number}/fail", {"reason": "It did not help"})
    assert rows(desk("engineer"), number, deferred=True) == [TECHNICAL, SECURITY, BUSINESS]
    assert answers(desk, number, "technical") == only("senior-devops", "tech-lead")
    assert answers(desk, number, "security") == only("security")
    assert answers(desk, number, "business") == only("product-manager", "eng-manager")


def reviewed(desk: Sit, number: str, *more: str) -> None:
    desk("tech-lead").decide(number, "technical")
    for kind in more:
        desk({"security": "security", "business": "product-manager"}[kind]).decide(number, kind)


def test_an_emergencys_security_review_is_owed_only_where_it_is_triggered(desk: Sit) -> None:
    """R44, A2, A16: technical and business always, security by an answer or a component."""
    found = {}
    for name, facts in (("none", {}), ("component", {"components": ["payments"]})):
        number = desk("engineer").submit("P0", **facts)["id"]
        desk("cto").decide(number, "emergency")
        desk("oncall").post(f"/changes/{number}/start")
        desk("oncall").post(f"/changes/{number}/fail", {"reason": "It did not help"})
        found[name] = rows(desk("engineer"), number, deferred=True)
    assert found == {
        "none": [TECHNICAL, BUSINESS],
        "component": [TECHNICAL, SECURITY, BUSINESS],
    }


def test_nobody_signs_off_before_the_reviews_have_passed(desk: Sit) -> None:
    """A2: the second stage opens when the first has passed, for those who will sign it too."""
    number = desk("engineer").submit("P2")["id"]
    waiting = dict.fromkeys(EVERYBODY, 403) | {"eng-manager": 409, "devops-lead": 409}
    assert answers(desk, number, "sign_off") == waiting
    reviewed(desk, number)
    assert answers(desk, number, "sign_off") == waiting
    reviewed_by_business = desk("product-manager").decide(number, "business")
    assert reviewed_by_business["state"] == "approved"
    assert answers(desk, number, "sign_off") == only("eng-manager", "devops-lead")


def test_no_role_implies_another(desk: Sit) -> None:
    """A26: who is only on call signs off no P3; a lead reviews nothing technical; roles add up."""
    User.objects.get(username="oncall").groups.remove(Group.objects.get(name="devops-engineer"))
    give("engineer2", "devops-engineer")
    give("change-manager", "tech-lead")
    number = desk("engineer").submit("P3")["id"]
    reviewers = ("senior-devops", "tech-lead", "change-manager")
    assert answers(desk, number, "technical") == only(*reviewers)
    reviewed(desk, number)
    signers = ("devops", "devops2", "engineer2", "senior-devops", "devops-lead")
    assert answers(desk, number, "sign_off") == only(*signers)


def test_whoever_holds_auditor_decides_nothing(desk: Sit) -> None:
    """A26, contract: an auditor changes nothing, whatever else they hold; a manager may be more."""
    give("auditor", "tech-lead", "cto")
    give("manager", "tech-lead")
    number = desk("engineer").submit("P3")["id"]
    reviewers = ("senior-devops", "tech-lead", "manager")
    assert answers(desk, number, "technical") == only(*reviewers)


def test_both_halves_of_a_sign_off_are_different_people(desk: Sit) -> None:
    """R7, A2: who holds both roles gives one of them; either other role-holder gives the other."""
    give("eng-manager", "devops-lead")
    number = desk("engineer").submit("P1")["id"]
    reviewed(desk, number, "business")
    assert desk("eng-manager").decide(number, "sign_off")["state"] == "open"
    assert answers(desk, number, "sign_off") == only("devops-lead") | {"eng-manager": 409}
    give("cto", "engineering-manager")
    assert answers(desk, number, "sign_off") == only("devops-lead", "cto") | {"eng-manager": 409}


@pytest.mark.parametrize(
    ("instant", "status"),
    [
        ("2026-10-01T07:59:59Z", 403),
        ("2026-10-01T08:00:00Z", 200),
        ("2026-10-01T19:59:59Z", 200),
        ("2026-10-01T20:00:00Z", 403),
    ],
)
def test_the_contact_authorises_from_the_dutys_first_second_to_its_last(
    desk: Sit,
    at: Any,
    instant: str,
    status: int,
) -> None:
    """R3, A3: a dated duty, from 08:00 to 20:00; the CTO at any time."""
    duty = Duty.objects.filter(user__username="emergency-contact")
    duty.update(starts_at="2026-10-01T08:00Z", ends_at="2026-10-01T20:00Z")
    at("2026-10-01T07:00Z")
    number = desk("engineer").submit("P0")["id"]
    at(instant)
    with tried_only():
        desk("emergency-contact").decide(number, "emergency", expect=status)
    desk("cto").decide(number, "emergency")


def test_the_requester_and_whoever_edited_it_are_out_whatever_they_hold(desk: Sit) -> None:
    """A2: of each step's people, requester and editor are none; the others stay."""
    give("change-manager", "security-engineer", "product-manager")
    number = desk("tech-lead").submit("P2", **ASKS_SECURITY)["id"]
    version = desk("change-manager").get(f"/changes/{number}")["version"]
    desk("change-manager").patch(f"/changes/{number}", {"version": version, "reason": "Better"})
    assert answers(desk, number, "technical") == only("senior-devops")
    assert answers(desk, number, "security") == only("security")
    assert answers(desk, number, "business") == only("product-manager", "eng-manager")
