"""Whoever must act is named, or it is said that nobody can (A3, A43, X8, X9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts import registry
from accounts.models import Delegation, Duty, User
from changemgmt.tick import tick
from notifications.models import Message
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


@pytest.fixture
def committing(django_capture_on_commit_callbacks: Any) -> Any:
    """What waits for a commit runs, as outside a test."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def root() -> User:
    return User.objects.filter(username="root").first() or User.objects.create_superuser(
        "root", "r@example.com", "x"
    )


def gone(username: str) -> None:
    User.objects.filter(username=username).update(is_active=False)


def messages() -> list[tuple[str, str]]:
    rows = Message.objects.filter(kind="nobody_can_decide").order_by("id")
    return [(row.recipient.username, row.subject) for row in rows]


def page(desk: Desk, path: str, body: dict[str, Any] | None = None) -> str:
    desk.client.force_login(desk.user)
    answer = (
        desk.client.post(path, body, follow=True) if body is not None else desk.client.get(path)
    )
    return " ".join(answer.content.decode().split())


def test_submitting_names_who_was_told(desk: Sit) -> None:
    """X8: no message says that somebody was told who was not."""
    number = str(desk("engineer").create("P2")["id"])
    said = page(desk("engineer"), f"/changes/{number}/act/submit", {})
    told = {row.recipient.username for row in Message.objects.filter(kind="approval_waiting")}
    assert told == {"tech-lead", "senior-devops", "product-manager", "eng-manager"}
    for username in told:
        assert str(User.objects.get(username=username)) in said
    assert "(technical review)" in said
    assert "(business approval)" in said


def test_where_nobody_reviews_that_is_said_at_submission(desk: Sit) -> None:
    """X8, A43: message, page and mail say so, with the remedy, and nothing promises a date."""
    gone("tech-lead"), gone("senior-devops")
    form = page(
        desk("engineer"),
        "/changes/preview",
        {"priority": "P2", "components": "search", "estimated_minutes": "30"},
    )
    assert "Nobody can give the technical review" in form
    assert "Live probably" not in form
    number = str(desk("engineer").create("P2")["id"])
    said = page(desk("engineer"), f"/changes/{number}/act/submit", {})
    assert "reviewers have been told" not in said
    assert "Nobody can give the technical review" in said
    assert "Live probably" not in said
    assert sorted(who for who, _ in messages()) == ["change-manager", "engineer"]
    assert (
        Message.objects.filter(kind="nobody_can_decide", body__contains="/settings/people/").count()
        == 2
    )


def test_a_signature_that_waits_is_looked_at_too(desk: Sit) -> None:
    """A43: the steps of the next stage are asked for already when it is submitted."""
    gone("devops-lead")
    number = str(desk("engineer").submit("P2")["id"])
    assert [subject for _, subject in messages()] == [f"{number} waits for nobody: sign-off"] * 2


@pytest.mark.parametrize("event", ["deactivated", "role taken", "delegated to the requester"])
def test_when_somebody_goes_it_is_told_at_once_and_once(
    desk: Sit, committing: Any, event: str
) -> None:
    """X9, A43: the only engineering manager goes while the sign-off is open; one message a person,
    nothing again by the tick.
    """
    number = str(desk("engineer").submit("P2")["id"])
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    desk("devops-lead").decide(number, "sign_off")
    other = str(desk("engineer").submit("P2")["id"])
    person = User.objects.get(username="eng-manager")
    facts = {
        "username": person.username,
        "name": person.name,
        "email": person.email,
        "phone": person.phone,
    }
    with committing():
        if event == "deactivated":
            registry.save_person(
                actor=root(), person=person, roles=["engineering-manager"], is_active=False, **facts
            )
        elif event == "role taken":
            registry.save_person(
                actor=root(), person=person, roles=["engineer"], is_active=True, **facts
            )
        else:
            person.groups.clear()
            registry.people_changed.send(User)
    tick(), tick()
    found = messages()
    assert sorted({who for who, _ in found}) == ["change-manager", "engineer"]
    assert len(found) == 2, found
    assert "2 approvals wait for nobody" in found[0][1]
    told = Message.objects.filter(kind="nobody_can_decide").first()
    assert told is not None
    assert number in told.body
    assert other in told.body
    assert "engineering manager" in told.body.lower()


def test_who_has_given_it_is_not_named_as_who_could(desk: Sit, at: Any) -> None:
    """X9: three days later the stuck mail says that nobody who is there can give it."""
    number = str(desk("engineer").submit("P2")["id"])
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    desk("devops-lead").decide(number, "sign_off")
    gone("eng-manager")
    at("2026-10-04T10:00Z")
    tick()
    stuck = Message.objects.filter(kind="approval_stuck").first()
    assert stuck is not None
    assert "Who could give it: nobody who is there." in stuck.body
    assert str(User.objects.get(username="devops-lead")) not in stuck.body


def test_it_is_told_again_only_after_somebody_was_there(desk: Sit, at: Any) -> None:
    """Level-triggered: filled, and empty again, is news."""
    gone("devops-lead")
    desk("engineer").submit("P2")
    User.objects.filter(username="devops-lead").update(is_active=True)
    tick()
    assert len(messages()) == 2
    at("2026-10-01T10:00Z")
    gone("devops-lead")
    tick(), tick()
    assert len(messages()) == 4


def test_a_delegate_is_somebody_who_is_there(desk: Sit) -> None:
    """A43: whoever delegated is away, and yet nothing is vacant."""
    giver, receiver = (User.objects.get(username=name) for name in ("eng-manager", "tech-lead"))
    Delegation.objects.create(
        giver=giver, receiver=receiver, starts_at="2026-09-01T00:00Z", ends_at="2026-11-01T00:00Z"
    )
    desk("engineer").submit("P2")
    assert messages() == []


def test_an_emergency_without_cto_and_contact_says_so(desk: Sit) -> None:
    """A3, R3: nobody on duty and no CTO: the P0 names that at once."""
    gone("cto")
    Duty.objects.filter(kind="emergency-contact").update(ends_at="2026-09-30T00:00Z")
    number = str(desk("engineer").submit("P0")["id"])
    assert [subject for _, subject in messages()] == [
        f"{number} waits for nobody: emergency authorisation"
    ] * 2
