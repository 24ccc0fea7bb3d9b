"""What approvers judged does not change behind them: the content and the scheme of its fingerprint
(A35, X1, X3, X21).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from requests import content
from requests.models import ChangeRequest
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


HIGH = {"risk": "high", "strategy": "rolling"}


def fields_of(problem: dict[str, Any]) -> list[str]:
    return [error["field"] for error in problem["errors"]]


def signed(desk: Sit, number: str) -> None:
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    desk("eng-manager").decide(number, "sign_off")
    desk("devops-lead").decide(number, "sign_off")


def test_every_door_asks_why_a_high_risk_goes_by_no_canary(desk: Sit) -> None:
    """X1, A18, A35, R84: API, click, form and `actions` refuse alike; a reason or canary is enough;
    a P0 needs neither.
    """
    me = desk("engineer")
    made = me.create("P2", **HIGH)
    assert fields_of(me.post(f"/changes/{made['id']}/submit", expect=422)) == ["strategy_reason"]
    me.client.force_login(me.user)
    assert me.client.post(f"/changes/{made['id']}/act/submit").status_code == 422
    edit = {"form": "1", "version": made["version"], "intent": "submit"}
    assert me.client.post(f"/changes/{made['id']}/edit", edit).status_code == 422
    actions = me.get(f"/changes/{made['id']}/actions")["items"]
    submit = next(action for action in actions if action["name"] == "submit")
    assert (submit["allowed"], [r["rule"] for r in submit["reasons"]]) == (
        False,
        ["strategy_reason"],
    )
    assert me.submit("P2", **HIGH, strategy_reason="One node alone")["state"] == "in_review"
    assert me.submit("P2", risk="high", strategy="canary")["state"] == "in_review"
    assert me.submit("P0", **HIGH)["state"] == "in_review"


def test_actions_and_submit_give_one_answer_about_risk_and_date(desk: Sit, at: Any) -> None:
    """X3: six risk questions answered yes under a low risk, and a requested date that has passed
    since.
    """
    at("2026-10-01T09:00Z")
    me = desk("engineer")
    answers = dict.fromkeys(
        ("wide", "irreversible", "tested", "user_facing", "data", "first"), True
    )
    made = me.create("P2", risk="low", risk_answers=answers)
    at("2026-10-02T09:00Z")
    refused = fields_of(me.post(f"/changes/{made['id']}/submit", expect=422))
    submit = next(
        a for a in me.get(f"/changes/{made['id']}/actions")["items"] if a["name"] == "submit"
    )
    assert (
        sorted(refused)
        == sorted(r["rule"] for r in submit["reasons"])
        == ["requested_date", "risk"]
    )
    me.client.force_login(me.user)
    page = me.client.get(f"/changes/{made['id']}/").content.decode()
    assert "Ready for review?" not in page
    assert "Not complete yet" in page


@pytest.mark.parametrize("way", [["low"], ["", "low"], [None, "low"], [""], ["medium", "low"]])
def test_nobody_brings_a_submitted_risk_down_by_any_way(desk: Sit, way: list[str | None]) -> None:
    """X21, A35: also not by way of “not set”; only a reviewer lowers it."""
    me = desk("engineer")
    number = str(me.submit("P2", risk="high", strategy="canary")["id"])
    desk("tech-lead").decide(number, "technical", "request_changes", comment="Say more")
    for risk in way:
        version = me.get(f"/changes/{number}")["version"]
        assert fields_of(
            me.call("PATCH", f"/changes/{number}", {"version": version, "risk": risk}, expect=422)
        ) == ["risk"]
    assert me.get(f"/changes/{number}")["risk"] == "high"


@pytest.mark.parametrize(
    "edit", [{"risk_answers": {"data": True}}, {"strategy_reason": "Another one altogether"}]
)
def test_answers_and_reason_are_content(desk: Sit, edit: dict[str, Any]) -> None:
    """X21, A35: rewriting either after approval begins a new round, and the gate closes."""
    me = desk("engineer")
    number = str(me.submit("P2", **HIGH, strategy_reason="One node alone")["id"])
    signed(desk, number)
    assert me.get(f"/changes/{number}")["state"] == "approved"
    version = me.get(f"/changes/{number}")["version"]
    after = me.patch(f"/changes/{number}", {"version": version, **edit})
    assert (after["state"], after["version"]) == ("in_review", version + 1)
    assert ChangeRequest.objects.get(number=number).round == 2
    assert me.get(f"/gate/{number}")["allow"] is False


def test_a_round_keeps_the_scheme_by_which_it_was_judged(desk: Sit) -> None:
    """A35: a change approved by the first scheme stays approved though the content has grown; its
    next round takes the newest.
    """
    me = desk("engineer")
    number = str(me.submit("P2", risk_answers={"first": True})["id"])
    change = ChangeRequest.objects.get(number=number)
    old = content.fingerprint(change.content(), 1)
    assert old != change.content_hash
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE requests_changerequest SET content_scheme = 1, content_hash = %s WHERE id = %s",
            [old, change.pk],
        )
        cursor.execute(
            "UPDATE approvals_step SET content_hash = %s WHERE change_id = %s", [old, change.pk]
        )
    signed(desk, number)
    change.refresh_from_db(fields=["approved_hash"])
    assert (change.approved_hash, ChangeRequest.objects.get(number=number).content_scheme) == (
        old,
        1,
    )
    assert [r["code"] for r in me.get(f"/gate/{number}")["reasons"]] == ["not_scheduled"]
    me.patch(
        f"/changes/{number}",
        {"version": me.get(f"/changes/{number}")["version"], "summary": "Another one"},
    )
    anew = ChangeRequest.objects.get(number=number)
    assert (anew.content_scheme, anew.content_hash) == (3, content.fingerprint(anew.content(), 3))


def test_content_that_was_rewritten_by_sql_starts_nothing(desk: Sit, at: Any) -> None:
    """X25, promise 1: start and gate compute the fingerprint from the content itself."""
    at("2026-10-01T09:00Z")
    number = str(
        desk("engineer").submit("P2", requested_window={"start": "2026-10-06T02:00Z"})["id"]
    )
    signed(desk, number)
    desk("devops").tick_off(number, "pre")
    at("2026-10-06T02:00Z")
    assert desk("devops").get(f"/gate/{number}")["allow"] is True
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE requests_changerequest SET implementation_steps = 'Something else' WHERE number"
            " = %s",
            [number],
        )
    assert [r["code"] for r in desk("devops").get(f"/gate/{number}")["reasons"]] == ["not_approved"]
    assert desk("devops").post(f"/changes/{number}/start", expect=409)["code"] == "not_approved"
