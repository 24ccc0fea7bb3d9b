"""Signing the next stage in the same visit (issue 3 item 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import User
from approvals.models import Advance, Decision, Step
from audit.models import Event
from notifications.models import Message
from tests.world import TICKS, Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def browser(username: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=username))
    return client


def key(number: str, kind: str) -> int:
    return Step.objects.filter(change__number=number, kind=kind).latest("round").pk


def both(
    username: str,
    number: str,
    kind: str = "business",
    expect: int = 302,
    also: int | None = None,
    **more: str,
) -> str:
    """Approve a review by its card, and sign the next stage with it."""
    step = key(number, kind)
    ticks = {f"tick_{item}": "on" for item in TICKS[kind]}
    values = {
        "verdict": "approve",
        "version": "1",
        "also": str(also or key(number, "sign_off")),
        **ticks,
        **more,
    }
    answer = browser(username).post(f"/approvals/{step}/", values)
    assert answer.status_code == expect, answer.content.decode()[:2000]
    return answer.content.decode()


def test_it_counts_when_the_stage_opens(desk: Sit, at: Any) -> None:
    """The engineering manager gives the business approval and the sign-off in one visit; the other
    sign-off is still somebody else's.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    page = browser("eng-manager").get(f"/approvals/{key(number, 'business')}/").content.decode()
    assert "Give the sign-off, too" in page
    assert (
        "Give the sign-off, too"
        not in browser("product-manager")
        .get(f"/approvals/{key(number, 'business')}/")
        .content.decode()
    )
    both("eng-manager", number)
    assert Decision.objects.count() == 1
    assert (
        "Marcus Hale signed it in advance"
        in browser("engineer").get(f"/changes/{number}/").content.decode()
    )
    desk("tech-lead").decide(number, "technical")
    sign_off = next(step for step in desk("engineer").steps(number) if step["kind"] == "sign_off")
    assert (sign_off["state"], [d["by"] for d in sign_off["decisions"]]) == (
        "open",
        ["eng-manager"],
    )
    assert not Message.objects.filter(
        kind="approval_waiting",
        recipient__username="eng-manager",
        body__contains="sign-off",
        state="due",
    ).exists()
    desk("devops-lead").decide(number, "sign_off")
    assert desk("engineer").get(f"/changes/{number}")["state"] == "approved"
    assert Advance.objects.get().outcome == "counted"
    events = Event.objects.filter(action__startswith="approval.").order_by("id")
    assert list(events.values_list("action", "actor__username")) == [
        ("approval.open_round", None), ("approval.decide", "eng-manager"),
        ("approval.advance", "eng-manager"), ("approval.decide", "tech-lead"),
        ("approval.decide", "eng-manager"),
        ("approval.decide", "devops-lead"),
    ]  # fmt: skip


def test_where_the_review_was_the_last_it_counts_at_once(desk: Sit, at: Any) -> None:
    """A P3: the senior DevOps engineer reviews and signs off in one click; the change is approved
    and booked.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P3")["id"])
    both("senior-devops", number, "technical")
    assert desk("engineer").get(f"/changes/{number}")["state"] == "scheduled"
    assert not Advance.objects.exists()
    assert Decision.objects.count() == 2


def test_an_edit_or_an_objection_voids_it(desk: Sit, at: Any) -> None:
    """Neither content that was not seen nor a round that ended is signed."""
    at("2026-10-01T09:00Z")
    edited, objected = (str(desk("engineer").submit("P2")["id"]) for _ in range(2))
    for number in (edited, objected):
        both("eng-manager", number)
    desk("engineer").patch(f"/changes/{edited}", {"version": 1, "summary": "Another"})
    desk("tech-lead").decide(objected, "technical", "request_changes", comment="Say more")
    desk("engineer").post(f"/changes/{objected}/submit")
    for number in (edited, objected):
        desk("tech-lead").decide(number, "technical")
        desk("product-manager").decide(number, "business")
        sign_off = next(
            step
            for step in desk("engineer").steps(number)
            if step["kind"] == "sign_off" and step["round"] == 2
        )
        assert (sign_off["state"], sign_off["decisions"]) == ("open", [])


def test_it_is_judged_again_when_it_counts(desk: Sit, at: Any) -> None:
    """A role lost meanwhile, or a hand in the content: it does not count, and its giver is told;
    the stage waits for others.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    both("eng-manager", number)
    User.objects.get(username="eng-manager").groups.clear()
    desk("tech-lead").decide(number, "technical")
    assert Advance.objects.get().outcome == "void"
    assert Decision.objects.filter(step__kind="sign_off").count() == 0
    assert Message.objects.get(kind="advance_void").recipient.username == "eng-manager"
    assert desk("engineer").get(f"/changes/{number}")["state"] == "in_review"


def test_nobody_signs_what_is_not_theirs_or_twice(desk: Sit, at: Any) -> None:
    """Not by another's role, not for an emergency or a checklist, not without the review, not on
    one's own change; taken back it does not count.
    """
    at("2026-10-01T09:00Z")
    number, other = (str(desk("engineer").submit("P2")["id"]) for _ in range(2))
    both("product-manager", number, expect=403)
    assert not Decision.objects.exists(), "one visit: either both or none"
    both("eng-manager", number, also=key(other, "sign_off"), expect=404)
    both("eng-manager", number, also=key(number, "technical"), expect=403)
    own = str(desk("eng-manager").submit("P2")["id"])
    both("eng-manager", own, expect=403)
    both("eng-manager", number)
    page = browser("eng-manager")
    assert (
        page.post(f"/changes/{number}/act/take-back", {"step": key(number, "sign_off")}).status_code
        == 302
    )
    assert (
        page.post(f"/changes/{number}/act/take-back", {"step": key(number, "sign_off")}).status_code
        == 404
    )
    assert (
        browser("devops-lead").post(f"/changes/{number}/act/take-back", {"step": "x"}).status_code
        == 404
    )
    desk("tech-lead").decide(number, "technical")
    assert Decision.objects.filter(step__kind="sign_off").count() == 0


def test_any_later_version_voids_it_and_a_settled_stage_costs_no_review(desk: Sit, at: Any) -> None:
    """F21: the window moved since, which begins no round: it does not count. Signed by another
    first: the review just given stands.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    both("eng-manager", number)
    desk("engineer").patch(
        f"/changes/{number}", {"version": 1, "requested_window": {"start": "2026-10-06T02:00Z"}}
    )
    desk("tech-lead").decide(number, "technical")
    assert Advance.objects.get().outcome == "void"
    assert "edited since" in Message.objects.get(kind="advance_void").body
    assert Decision.objects.filter(step__kind="sign_off").count() == 0
    User.objects.get(username="product-manager").groups.add(Group.objects.get(name="devops-lead"))
    other = str(
        desk("engineer").submit("P3", users_affected=True, user_impact="They see a banner")["id"]
    )
    both("senior-devops", other, "technical")
    both("product-manager", other)
    assert desk("engineer").get(f"/changes/{other}")["state"] == "scheduled"
    assert (
        Decision.objects.get(step__kind="business", change__number=other).actor.username
        == "product-manager"
    )
