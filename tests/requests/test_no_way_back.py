"""A change that cannot be undone, or whose undoing cannot be tested, says so and why, and everybody
who signs accepts it (A46).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from notifications.models import Message
from tests.implementation.road import Road
from tests.world import Desk, html_of

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
#: A planned change that drops a column: nothing brings it back.
DROPPED = {
    "no_way_back": "undo", "no_way_back_reason": "The old column is dropped", "risk": "high",
    "strategy_reason": "A migration runs once",
    "rollback_plan": "Restore the column from last night's backup", "rollback_tested": None,
}  # fmt: skip


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def fields_of(answer: dict[str, Any]) -> list[str]:
    return [error["field"] for error in answer["errors"]]


def page(username: str, path: str) -> str:
    client = Client()
    client.force_login(User.objects.get(username=username))
    return html_of(client.get(path))


@pytest.mark.parametrize(("without", "missing"), [
    ({"no_way_back_reason": ""}, ["no_way_back_reason"]),
    ({"no_way_back_reason": "  "}, ["no_way_back_reason"]),
    ({"risk": "medium"}, ["risk"]), ({"risk": "low"}, ["risk"]),
    ({"rollback_plan": ""}, ["rollback_plan"]),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["undo", "test"])
def test_it_says_why_and_its_risk_is_high(
    desk: Sit, kind: str, without: dict[str, Any], missing: list[str]
) -> None:
    """A46: why, high, and how it recovers forwards; what cannot be tried needs no evidence
    (A19).
    """
    me = desk("engineer")
    made = me.create("P2", **DROPPED | {"no_way_back": kind} | without)
    assert fields_of(me.post(f"/changes/{made['id']}/submit", expect=422)) == missing
    me.patch(
        f"/changes/{made['id']}",
        {"version": made["version"]} | {name: DROPPED[name] for name in without},
    )
    assert me.post(f"/changes/{made['id']}/submit")["state"] == "in_review"


def test_with_a_way_back_evidence_is_asked_for_as_ever(desk: Sit) -> None:
    """A19: and an answer that nobody offers is refused with the field's name."""
    me = desk("engineer")
    made = me.create("P2", rollback_tested=None)
    assert fields_of(me.post(f"/changes/{made['id']}/submit", expect=422)) == ["rollback_tested"]
    assert fields_of(
        me.post("/changes", {"priority": "P2", "no_way_back": "maybe"}, expect=422)
    ) == ["no_way_back"]


def test_the_reviewer_judges_a_recovery_plan_and_each_sign_off_accepts(desk: Sit) -> None:
    """A46: T2's own words; an item of its own for each sign-off, which is ticked and never not
    applicable (A34).
    """
    number = str(desk("engineer").submit("P2", **DROPPED)["id"])
    items = {
        step["kind"]: {item["key"]: item["text"] for item in step["checklist"]}
        for step in desk("engineer").steps(number)
    }
    assert items["technical"]["T2"] == "Recovery plan is feasible, and rehearsed or said why not"
    assert items["sign_off"] == {"N1": "I accept that it cannot be undone"}
    assert "N1" not in items["business"]
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    for answers in (
        {},
        {"N1": False},
        {"N1": {"not_applicable": "There is nothing to accept in it"}},
    ):
        assert fields_of(
            desk("eng-manager").decide(number, "sign_off", checklist=answers, expect=422)
        ) == ["checklist.N1"]
    desk("eng-manager").decide(number, "sign_off")
    assert fields_of(desk("devops-lead").decide(number, "sign_off", checklist={}, expect=422)) == [
        "checklist.N1"
    ]
    desk("devops-lead").decide(number, "sign_off")
    assert desk("engineer").get(f"/changes/{number}")["state"] == "approved"


def test_what_cannot_be_tested_is_accepted_as_that(desk: Sit) -> None:
    number = str(desk("engineer").submit("P3", **DROPPED | {"no_way_back": "test"})["id"])
    (sign_off,) = [step for step in desk("engineer").steps(number) if step["kind"] == "sign_off"]
    assert [item["text"] for item in sign_off["checklist"]] == [
        "I accept that undoing it cannot be tested"
    ]


def test_an_emergency_is_authorised_with_it(desk: Sit) -> None:
    """A46, A4: the authorisation is an emergency's only sign-off."""
    number = str(desk("oncall").submit("P0", **DROPPED)["id"])
    assert fields_of(desk("cto").decide(number, "emergency", checklist={}, expect=422)) == [
        "checklist.N1"
    ]
    desk("cto").decide(number, "emergency")


def test_the_words_of_other_changes_are_the_documents(desk: Sit) -> None:
    """R39: and a sign-off has nothing to tick."""
    number = str(desk("engineer").submit("P2")["id"])
    items = {
        step["kind"]: {item["key"]: item["text"] for item in step["checklist"]}
        for step in desk("engineer").steps(number)
    }
    assert (items["technical"]["T2"], items["sign_off"]) == (
        "Rollback plan is feasible and tested",
        {},
    )


def test_its_risk_is_not_lowered(desk: Sit) -> None:
    """A46 against A18: no reviewer says that it is less than high."""
    number = str(desk("engineer").submit("P2", **DROPPED)["id"])
    client = Client()
    client.force_login(User.objects.get(username="tech-lead"))
    answer = client.post(
        f"/changes/{number}/act/assess", {"level": "medium", "reason": "We have done it before"}
    )
    assert answer.status_code == 409
    assert desk("engineer").get(f"/changes/{number}")["risk"] == "high"


def test_taking_the_way_back_away_is_approved_again(desk: Sit) -> None:
    """A46, A35: it is content; an edit of it in review begins a round."""
    me = desk("engineer")
    number = str(me.submit("P2", risk="high", strategy_reason="Once")["id"])
    desk("tech-lead").decide(number, "technical")
    me.patch(
        f"/changes/{number}",
        {"version": 1, "no_way_back": "test", "no_way_back_reason": "Staging has no such volume"},
    )
    step = next(step for step in me.steps(number, "open") if step["kind"] == "technical")
    assert (
        step["checklist"][1]["text"] == "Recovery plan is feasible, and rehearsed or said why not"
    )
    assert [step["round"] for step in me.steps(number, "open")] == [2, 2]


def test_the_red_button_says_recover(desk: Sit, at: Any) -> None:
    """A46, A30: cockpit, verb and checklist; and recovering is never refused."""
    road = Road(desk, at)
    number = road.implementing("P2", **DROPPED)
    (verb,) = [
        action
        for action in desk("devops").get(f"/changes/{number}/actions")["items"]
        if action["name"] == "roll_back"
    ]
    assert (verb["label"], verb["allowed"]) == ("Recover", True)
    cockpit = page("devops", f"/changes/{number}/implementation/")
    assert "Recover…" in cockpit
    assert "Recover now" in cockpit
    assert "Roll back" not in cockpit
    desk("devops").post(f"/changes/{number}/roll-back", {"reason": "The new column is empty"})
    cockpit = page("devops", f"/changes/{number}/implementation/")
    assert "Finish the recovery" in cockpit
    shown = page("engineer", f"/changes/{number}/")
    assert "Recovery plan" in shown
    assert "The old column is dropped" in shown
    assert "Its recovery is running." in page("auditor", f"/changes/{number}/")


@pytest.mark.parametrize(
    ("more", "word", "mailed"),
    [(DROPPED, "recovery", "recovered"), ({}, "rollback", "rolled back")],
)
def test_trail_mail_and_answer_call_it_what_it_is(
    desk: Sit, at: Any, more: dict[str, Any], word: str, mailed: str
) -> None:
    """A46: nobody is told that something was rolled back which cannot be."""
    number = Road(desk, at).implementing("P2", **more)
    client = Client()
    client.force_login(User.objects.get(username="devops"))
    act = f"/changes/{number}/act"
    said = html_of(client.post(f"{act}/roll_back", {"reason": "It is empty"}, follow=True))
    assert f"The {word} has begun: its checklist is open." in said
    desk("devops").tick_off(number, "rollback", "post")
    said = html_of(client.post(f"{act}/finish_rollback", {}, follow=True))
    assert f"The {word} is finished. The review is due within 24 hours." in said
    timeline = page("engineer", f"/changes/{number}/")
    assert f"began the {word} (manual)" in timeline
    assert f"finished the {word}" in timeline
    assert (
        Message.objects.get(kind="rolling_back", recipient__username="engineer").subject
        == f"{number} is being {mailed}"
    )


def test_with_a_way_back_it_says_roll_back(desk: Sit, at: Any) -> None:
    number = Road(desk, at).implementing("P2")
    assert "Roll back…" in page("devops", f"/changes/{number}/implementation/")


def test_the_report_lists_it(desk: Sit, at: Any) -> None:
    """A46: by name, in the month in which its implementation ended."""
    road = Road(desk, at)
    road.completed("P3", components=["cdn"])
    number = road.completed("P2", **DROPPED)
    at("2026-10-31T09:00Z")
    exceptions = desk("manager").get("/reports/monthly/2026-10")["exceptions"]
    assert exceptions["no_way_back"] == 1
    listed = page("manager", "/reports/2026-10/no_way_back/")
    assert number in listed


def test_the_form_keeps_what_was_chosen(desk: Sit) -> None:
    client = Client()
    client.force_login(User.objects.get(username="engineer"))
    typed = {
        "form": "1",
        "priority": "P2",
        "summary": "Drop it",
        "no_way_back": "undo",
        "no_way_back_reason": "",
        "risk": "medium",
        "intent": "submit",
    }
    answer = client.post("/changes/new", typed)
    assert answer.status_code == 422
    html = html_of(answer)
    assert '<option value="undo" selected>It cannot be undone</option>' in html
    assert 'href="#id_no_way_back_reason"' in html
