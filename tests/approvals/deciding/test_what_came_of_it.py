"""Whoever decides reads what their verdict caused, and whoever comes too late what ended it (X11,
X12).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def page(username: str, path: str, **form: str) -> str:
    """What a person reads: without a form what is there, with one what it answers, redirects
    followed.
    """
    client = Client()
    client.force_login(User.objects.get(username=username))
    answer = client.post(path, form, follow=True) if form else client.get(path)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", unescape(answer.content.decode())))


def step_of(desk: Sit, number: str, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        step for step in desk("auditor").steps(number) if step["kind"] == kind
    )
    return found


def approve(desk: Sit, number: str, who: str, kind: str) -> str:
    step = step_of(desk, number, kind)
    ticks = {f"tick_{item['key']}": "on" for item in step["checklist"]}
    version = str(desk("auditor").get(f"/changes/{number}")["version"])
    return page(who, f"/approvals/{step['id']}/", verdict="approve", version=version, **ticks)


@pytest.mark.parametrize(("wanted", "says"), [
    ({"start": "2026-10-06T02:00Z"},
        "It is booked for Tue 6 Oct, 02:00 to 02:45 UTC, in 4 d 17 h."),
    ({"start": "2026-10-01T09:32Z", "short_notice_reason": "The certificate ends at noon"},
        "It is booked for Tue 6 Oct, 02:00 to 02:45 UTC, in 4 d 17 h."),
    (None, "It is booked for Tue 6 Oct, 02:00 to 02:45 UTC, in 4 d 17 h."),
])  # fmt: skip
def test_the_last_sign_off_says_what_it_caused(
    desk: Sit, wanted: dict[str, str] | None, says: str
) -> None:
    """X12, R11, R12, A7: the slot and how far off it is; a P3's earliest where the window asked for
    is shut.
    """
    number = str(desk("engineer").submit("P3", requested_window=wanted)["id"])
    said = approve(desk, number, "tech-lead", "technical")
    assert "booked for" not in said
    found = approve(desk, number, "devops2", "sign_off")
    assert says in found, found[-1500:]


def test_a_slot_at_short_notice_is_called_that(desk: Sit, at: Any) -> None:
    """X12, A12: 32 minutes off, with the requester's own reason; whoever signed last knows that it
    is urgent now.
    """
    at("2026-10-06T01:28Z")
    wanted = {"start": "2026-10-06T02:00Z", "short_notice_reason": "The certificate ends at noon"}
    number = str(
        desk("engineer").submit("P3", requested_date="2026-10-06", requested_window=wanted)["id"]
    )
    approve(desk, number, "tech-lead", "technical")
    said = approve(desk, number, "devops2", "sign_off")
    assert "It is booked for Tue 6 Oct, 02:00 to 02:45 UTC, in 32 min" in said
    assert "short notice" in said


@pytest.mark.parametrize(("ends", "says"), [
    (("engineer", "cancel"),
        "Business approval waits for nobody any more: the change was cancelled."),
    (("tech-lead", "reject"),
        "Business approval waits for nobody any more: another step was rejected."),
    (("tech-lead", "request_changes"),
        "Business approval waits for nobody any more: "
        "changes were requested, or the approval lapsed."),
    (("engineer", "edit"),
        "Business approval belongs to an earlier round; the content has changed since."),
])  # fmt: skip
def test_whoever_comes_too_late_reads_what_ended_it(
    desk: Sit, ends: tuple[str, str], says: str
) -> None:
    """X11: by API, on the card and on the card's post alike; never “somebody else's verdict” where
    there was none.
    """
    number = str(desk("engineer").submit("P2")["id"])
    step, version = (
        step_of(desk, number, "business"),
        desk("engineer").get(f"/changes/{number}")["version"],
    )
    who, verb = ends
    if verb == "edit":
        desk(who).patch(f"/changes/{number}", {"version": version, "reason": "Better said"})
    elif verb == "cancel":
        desk(who).post(f"/changes/{number}/cancel", {"reason": "Not needed"})
    else:
        desk(who).decide(number, "technical", verb, comment="Not so")
    now = desk("engineer").get(f"/changes/{number}")["version"]
    ticks = {item["key"]: True for item in step["checklist"]}
    body = {"verdict": "approve", "version": now, "checklist": ticks}
    path = f"/changes/{number}/steps/{step['id']}/decision"
    assert desk("product-manager").post(path, body, expect=409)["detail"] == says
    assert says in page("product-manager", f"/approvals/{step['id']}/")
    form = {f"tick_{key}": "on" for key in ticks} | {"verdict": "approve", "version": str(now)}
    assert says in page("product-manager", f"/approvals/{step['id']}/", **form)
