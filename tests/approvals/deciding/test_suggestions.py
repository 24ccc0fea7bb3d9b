"""Suggested text (issue 3 item 6): worded by a reviewer, taken over by the requester, whose it then
is; the suggester stays free to decide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from audit.models import Event
from notifications.models import Message
from requests.models import Author, ChangeRequest, Suggestion
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
BETTER = "Set the interval back to 20 min\nRedeploy search 3.1\nCompare the index with yesterday's"


def browser(username: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=username))
    return client


def suggest(
    username: str,
    number: str,
    text: str = BETTER,
    field: str = "rollback_plan",
    expect: int = 302,
    comment: str = "",
) -> str:
    answer = browser(username).post(
        f"/changes/{number}/suggest/{field}", {"text": text, "comment": comment}
    )
    assert answer.status_code == expect, answer.content.decode()[:1500]
    return answer.content.decode()


def answer(username: str, number: str, verb: str = "accept", version: int = 1) -> int:
    key = Suggestion.objects.latest("id").pk
    return int(
        browser(username)
        .post(f"/changes/{number}/act/{verb}-suggestion", {"suggestion": key, "version": version})
        .status_code
    )


def test_the_requester_takes_it_over_and_the_suggester_decides(desk: Sit, at: Any) -> None:
    """One click: an edit by the requester, a new round; the suggester is no author and approves it;
    both see the difference first.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P3")["id"])
    page = browser("tech-lead").get(f"/changes/{number}/suggest/rollback_plan").content.decode()
    assert "Redeploy search 3.1" in page
    suggest("tech-lead", number, comment="How do we know that it worked?")
    assert Message.objects.get(kind="suggestion").recipient.username == "engineer"
    shown = browser("engineer").get(f"/changes/{number}/").content.decode()
    assert "How do we know that it worked?" in shown
    assert "Take it over" in shown
    assert "Take it over" not in browser("devops").get(f"/changes/{number}/").content.decode()
    assert answer("engineer", number) == 302
    change = ChangeRequest.objects.get(number=number)
    assert (change.rollback_plan, change.round, change.version) == (BETTER, 2, 2)
    assert set(Author.objects.filter(change=change).values_list("user__username", flat=True)) == {
        "engineer"
    }
    assert Event.objects.get(action="change.revise").actor.username == "engineer"
    desk("tech-lead").decide(number, "technical")
    desk("devops").decide(number, "sign_off")
    assert ChangeRequest.objects.get(number=number).state == "scheduled"
    assert Message.objects.get(kind="suggestion_answered").recipient.username == "tech-lead"


def test_nobody_takes_over_for_the_requester(desk: Sit, at: Any) -> None:
    """Self-approval by suggestion: its author, a manager, a superuser cannot make it content; nor
    an older version, nor twice.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    suggest("tech-lead", number)
    assert [
        answer(name, number) for name in ("tech-lead", "change-manager", "admin", "devops")
    ] == [403] * 4
    assert [answer(name, number, "decline") for name in ("tech-lead", "change-manager")] == [
        403,
        403,
    ]
    assert answer("engineer", number, version=7) == 412
    assert answer("engineer", number, "decline") == 302
    assert answer("engineer", number) == 409
    change = ChangeRequest.objects.get(number=number)
    assert (change.version, change.round) == (1, 1)
    assert desk("tech-lead").decide(number, "technical")["state"] == "approved"


def test_what_has_changed_since_is_not_written_over(desk: Sit, at: Any) -> None:
    """The field says something else by now: the suggestion no longer fits."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    suggest("tech-lead", number)
    desk("engineer").patch(
        f"/changes/{number}", {"version": 1, "rollback_plan": "Something else\nentirely"}
    )
    assert answer("engineer", number, version=2) == 409
    assert ChangeRequest.objects.get(number=number).rollback_plan == "Something else\nentirely"


def test_what_cannot_be_suggested(desk: Sit, at: Any) -> None:
    """The same text, none, too much, another field, one's own change, a reader, one not in review,
    an invisible one; typed text is kept.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    same = ChangeRequest.objects.get(number=number).rollback_plan
    for text in (same, "", "x" * 20_001):
        suggest("tech-lead", number, text, expect=422)
    assert "Kept &lt;as typed&gt;" in suggest(
        "tech-lead", number, same, expect=422, comment="Kept <as typed>"
    )
    suggest("tech-lead", number, field="priority", expect=404)
    suggest("tech-lead", number, field="state", expect=404)
    suggest("engineer", number, expect=403)
    suggest("auditor", number, expect=403)
    draft = str(desk("engineer").create("P2")["id"])
    suggest("tech-lead", draft, expect=409)
    secret = str(desk("security").submit("P2", confidential=True)["id"])
    suggest("engineer", secret, expect=404)
    for index in range(40):
        if Suggestion.objects.filter(change__number=number).count() < 30:
            suggest("tech-lead", number, f"Another way, {index}")
    suggest("tech-lead", number, "One more", expect=409)


def test_who_lost_sight_of_the_change_is_not_told_of_the_answer(desk: Sit, at: Any) -> None:
    """Promise 6: marked confidential meanwhile, its suggester hears nothing of it any more."""
    at("2026-10-01T09:00Z")
    number = str(desk("security").submit("P2")["id"])
    suggest("engineer", number)
    desk("security").patch(f"/changes/{number}", {"version": 1, "confidential": True})
    assert answer("security", number, "decline", version=2) == 302
    assert not Message.objects.filter(kind="suggestion_answered").exists()
