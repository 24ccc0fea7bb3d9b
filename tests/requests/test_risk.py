"""Risk: suggested with every weight shown, raised freely, lowered by a reviewer with a reason
(A18).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from audit.models import Event
from requests.models import ChangeRequest
from requests.risk import Record, suggest
from tests.world import Desk, html_of

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


@pytest.mark.parametrize(
    ("answers", "record", "level", "points"),
    [({"first": False}, Record(), "low", 0), ({"irreversible": True}, Record(), "medium", 3),
        ({"tested": False, "first": True}, Record(), "medium", 3),
     ({"wide": True, "irreversible": True, "user_facing": True}, Record(), "high", 7),
     ({"tested": True, "wide": False}, Record(), "low", 0),
     ({"user_facing": True}, Record(4, 4), "low", 2),
     ({"user_facing": True}, Record(100, 1), "medium", 3),
     ({"user_facing": True}, Record(10, 1), "medium", 4),
     (dict.fromkeys(("wide", "irreversible", "user_facing", "data", "first"),
         True) | {"tested": False}, Record(50, 25), "high", 14)],
)  # fmt: skip
def test_the_weights_add_up(
    answers: dict[str, bool], record: Record, level: str, points: int
) -> None:
    """A18: each answer's weight is shown, and the components' record over the last year."""
    found = suggest(answers, record)
    assert found is not None
    assert (found.level, found.points) == (level, points)
    assert sum(weight for _, weight in found.lines) == points


def test_nothing_is_suggested_before_something_is_answered() -> None:
    assert suggest({}, Record(100, 50)) is None


def test_the_requester_raises_and_does_not_go_below(desk: Sit, at: Any) -> None:
    """A18: below the suggestion a submission is refused at the field; above it is free; after it
    only raising is an edit.
    """
    at("2026-10-01T09:00Z")
    engineer, answers = desk("engineer"), {"irreversible": True, "data": True, "wide": True}
    made = engineer.create("P2", risk="low", risk_answers=answers)
    refusal = engineer.post(f"/changes/{made['id']}/submit", expect=422)
    assert [
        (error["field"], "suggest high" in error["message"]) for error in refusal["errors"]
    ] == [("risk", True)]
    engineer.patch(
        f"/changes/{made['id']}", {"version": made["version"], "risk": "high", "strategy": "canary"}
    )
    engineer.post(f"/changes/{made['id']}/submit")
    plain = engineer.submit("P2", risk="medium")
    lowered = engineer.call(
        "PATCH", f"/changes/{plain['id']}", {"version": plain["version"], "risk": "low"}, expect=422
    )
    assert "lowered by a reviewer" in lowered["errors"][0]["message"]
    raised = {"version": plain["version"], "risk": "high"}
    assert [
        e["field"]
        for e in engineer.call("PATCH", f"/changes/{plain['id']}", raised, expect=422)["errors"]
    ] == ["strategy_reason"]
    assert (
        engineer.patch(f"/changes/{plain['id']}", raised | {"strategy_reason": "One node"})["risk"]
        == "high"
    )
    for wrong in ({"wide": "perhaps"}, {"other": True}, "high"):
        engineer.post("/changes", {"summary": "x", "risk_answers": wrong}, expect=422)


def test_a_reviewer_lowers_it_and_no_verdict_is_lost(desk: Sit, at: Any) -> None:
    """A18, domain.md: a recorded act, not an edit: hash, version and verdicts stay; the reviewer
    may still decide; the next round judges anew.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2", risk="high", strategy_reason="One node alone")["id"])
    desk("product-manager").decide(number, "business")
    before = ChangeRequest.objects.get(number=number)

    def lower(who: str, **values: str) -> int:
        client = Client()
        client.force_login(User.objects.get(username=who))
        return client.post(
            f"/changes/{number}/act/assess",
            {"level": "medium", "reason": "It is behind a flag"} | values,
        ).status_code

    assert [lower("engineer"), lower("manager"), lower("security"), lower("change-manager")] == [
        403,
        403,
        403,
        403,
    ]
    assert lower("tech-lead", reason="") == 422
    assert lower("tech-lead", level="tiny") == 422
    assert lower("tech-lead", level="high") == 409
    assert lower("tech-lead") == 302
    after = ChangeRequest.objects.get(number=number)
    assert (after.risk_now, after.risk, after.content_hash, after.version, after.round) == (
        "medium", "high", before.content_hash, before.version, before.round,
    )  # fmt: skip
    page = Client()
    page.force_login(User.objects.get(username="auditor"))
    html = html_of(page.get(f"/changes/{number}/"))
    assert "Its requester said high; lowered by Grace Lindqvist: “It is behind a flag”" in html
    event = Event.objects.get(action="approval.assess")
    assert (event.data["from"], event.data["to"]) == ("high", "medium")
    desk("tech-lead").decide(number, "technical")
    for who in ("eng-manager", "devops-lead"):
        desk(who).decide(number, "sign_off")
    assert desk("engineer").get(f"/changes/{number}")["state"] == "approved"
    desk("engineer").patch(
        f"/changes/{number}", {"version": after.version, "reason": "Another reason"}
    )
    assert ChangeRequest.objects.get(number=number).risk_now == "high"
    assert lower("tech-lead") == 302, "and may be lowered again in the new round"


def test_the_form_suggests_and_asks_why_not_by_canary(desk: Sit, at: Any) -> None:
    """A18, R84: the preview shows suggestion and record; a high risk that goes another way says
    why, and nothing typed is lost.
    """
    at("2026-10-01T09:00Z")
    client = desk("engineer").client
    client.force_login(desk("engineer").user)
    typed = {
        "form": "1",
        "token": "t",
        "priority": "P2",
        "summary": "S",
        "components": "search",
        "risk_irreversible": "yes",
        "risk_tested": "no",
    }
    rail = html_of(client.post("/changes/preview", typed))
    assert "Hard to take back" in rail
    assert "+3" in rail
    assert "Not tried before" in rail
    made = desk("engineer").create("P2", risk="high", strategy="rolling")
    edit = {"form": "1", "version": made["version"], "intent": "submit", "risk_wide": "yes"}
    refused = client.post(f"/changes/{made['id']}/edit", edit)
    page = html_of(refused)
    assert refused.status_code == 422
    assert 'href="#id_strategy_reason"' in page
    assert 'name="risk_wide" value="yes" checked' in page
    version = desk("engineer").get(f"/changes/{made['id']}")["version"]
    done = client.post(
        f"/changes/{made['id']}/edit",
        edit | {"version": version, "strategy_reason": "A single node cannot be split"},
    )
    assert done.status_code == 302
    change = ChangeRequest.objects.get(number=made["id"])
    assert (change.state, change.strategy_reason, change.risk_answers) == (
        "in_review",
        "A single node cannot be split",
        {"wide": True},
    )
