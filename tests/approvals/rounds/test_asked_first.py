"""No stuck work, and no flood of mail: the mail of the day, at once where it matters, the usual
person first (issue 3 item 8).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts.models import User
from approvals.models import Policy
from approvals.people import delegations
from changemgmt.tick import tick
from notifications.models import Message
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def asked(number: str, kind: str = "approval_waiting") -> set[str]:
    return set(
        Message.objects.filter(kind=kind, subject__contains=number).values_list(
            "recipient__username", flat=True
        )
    )


def subjects(username: str) -> list[str]:
    address = User.objects.get(username=username).email
    return [message.subject for message in mail.outbox if message.to == [address]]


def test_what_can_wait_comes_in_one_mail_a_day(desk: Sit, at: Any) -> None:
    """Three changes are one mail at 07:00, with a link for each; what was settled before is not in
    it; the next day there is none.
    """
    at("2026-10-01T09:00Z")
    numbers = [str(desk("engineer").submit("P2")["id"]) for _ in range(4)]
    desk("senior-devops").decide(numbers[3], "technical")
    tick()
    assert subjects("tech-lead") == []
    at("2026-10-02T06:59Z")
    tick()
    assert subjects("tech-lead") == []
    at("2026-10-02T07:00Z")
    tick()
    assert subjects("tech-lead") == ["3 approvals wait for you"]
    body = next(m.body for m in mail.outbox if m.subject == "3 approvals wait for you")
    assert [number in body for number in numbers] == [True, True, True, False]
    assert body.count("/approvals/mail/") == 3
    at("2026-10-03T07:00Z")
    tick()
    assert [s for s in subjects("tech-lead") if "approvals wait" in s] == [
        "3 approvals wait for you"
    ]
    assert (
        Message.objects.filter(
            kind="approval_waiting", recipient__username="tech-lead", state="gathered"
        ).count()
        == 3
    )


def test_a_single_one_keeps_its_own_subject_and_months_without_a_worker_send_one(
    desk: Sit, at: Any
) -> None:
    """Promise 5: after days of downtime the mail of the day goes out once, marked late."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P3")["id"])
    at("2026-10-09T12:00Z")
    tick()
    tick()
    waiting = [s for s in subjects("tech-lead") if "waits for your" in s]
    assert waiting == [f"P3 {number} waits for your technical review"]
    assert Message.objects.get(kind="digest", recipient__username="tech-lead").late


def test_emergencies_and_near_windows_come_at_once(desk: Sit, at: Any) -> None:
    """A P0; a window asked for in less than two days; whoever wants each at once."""
    at("2026-10-04T10:00Z")
    desk("engineer").submit("P0", requested_date="2026-10-05")
    near = str(
        desk("engineer").submit(
            "P2", requested_date="2026-10-06", requested_window={"start": "2026-10-06T02:00Z"}
        )["id"]
    )
    client = Client()
    client.force_login(User.objects.get(username="senior-devops"))
    assert client.post("/settings/me/", {"mail_at_once": "on"}).status_code == 302
    far = str(desk("engineer").submit("P2", requested_date="2026-10-08")["id"])
    tick()
    assert len(subjects("cto")) == 1
    assert [near in s for s in subjects("tech-lead")] == [True]
    assert sorted(far in s for s in subjects("senior-devops")) == [False, True]
    assert client.post("/settings/me/", {}).status_code == 302
    assert not User.objects.get(username="senior-devops").mail_at_once


def usual(desk: Sit, **people: str) -> None:
    desk("change-manager").patch(
        "/components/search",
        {"usual": {role.replace("_", "-"): name for role, name in people.items()}},
    )


def test_the_usual_person_is_asked_first_and_all_with_the_reminder(desk: Sit, at: Any) -> None:
    """A component names its usual person per role; everybody else may decide too, and is told when
    the reminder comes.
    """
    at("2026-10-01T09:00Z")
    usual(desk, senior_devops_engineer="senior-devops")
    number = str(desk("engineer").submit("P2", components=["search"])["id"])
    assert asked(number) == {"senior-devops", "product-manager", "eng-manager"}
    at("2026-10-02T09:00Z")
    tick()
    assert asked(number, "approval_reminder") == {
        "tech-lead",
        "senior-devops",
        "product-manager",
        "eng-manager",
    }
    desk("tech-lead").decide(number, "technical")
    elsewhere = str(
        desk("engineer").submit("P2", components=["cdn"], requested_date="2026-10-05")["id"]
    )
    assert "tech-lead" in asked(elsewhere)


def test_the_usual_person_who_cannot_is_passed_over(desk: Sit, at: Any) -> None:
    """Requester of the change, without the role by now, or away: their delegate is asked; where
    nobody is left, all holders.
    """
    at("2026-10-01T09:00Z")
    usual(desk, tech_lead="tech-lead", engineering_manager="eng-manager")
    own = str(desk("tech-lead").submit("P2", components=["search"])["id"])
    assert asked(own) == {"senior-devops", "eng-manager"}
    lead = User.objects.get(username="tech-lead")
    delegations.delegate(
        actor=lead,
        receiver="devops2",
        starts_at=timezone.now(),
        ends_at=timezone.now() + timedelta(days=2),
    )
    away = str(desk("engineer").submit("P2", components=["search"])["id"])
    assert asked(away) == {"tech-lead", "devops2", "eng-manager"}
    User.objects.get(username="eng-manager").groups.clear()
    moved = str(desk("engineer").submit("P2", components=["search"])["id"])
    assert "product-manager" in asked(moved)


def test_of_a_sign_off_by_all_each_role_has_its_usual_person(desk: Sit, at: Any) -> None:
    """The usual engineering manager does not keep the DevOps lead from being asked."""
    at("2026-10-01T09:00Z")
    another = User.objects.get(username="cto")
    another.groups.add(
        User.objects.get(username="eng-manager").groups.get(name="engineering-manager")
    )
    usual(desk, engineering_manager="cto")
    number = str(desk("engineer").submit("P2", components=["search"])["id"])
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    signers = set(
        Message.objects.filter(subject__contains=f"{number} waits for your sign-off").values_list(
            "recipient__username", flat=True
        )
    )
    assert signers == {"cto", "devops-lead"}


def test_who_can_be_a_usual_person(desk: Sit, at: Any) -> None:
    """Named on the component's page, by name or username; somebody without the role is refused, and
    what was typed is kept.
    """
    client = Client()
    client.force_login(User.objects.get(username="change-manager"))
    form = {"slug": "search", "name": "Search", "usual_tech-lead": "tech-lead"}
    assert client.post("/settings/components/search/", form).status_code == 302
    assert desk("engineer").get("/components")["items"][
        [c["slug"] for c in desk("engineer").get("/components")["items"]].index("search")
    ]["usual"] == {"tech-lead": "tech-lead"}
    page = client.post("/settings/components/search/", form | {"usual_tech-lead": "devops"})
    assert page.status_code == 422
    assert "does not hold that role" in page.content.decode()
    desk("change-manager").patch("/components/search", {"usual": {"cto": "cto"}}, expect=422)
    desk("change-manager").patch("/components/search", {"usual": ["x"]}, expect=422)


def test_the_mail_of_the_day_holds_only_what_still_waits_for_its_reader(desk: Sit, at: Any) -> None:
    """Promise 6: not what they decided, nor what another gave for their role, nor what they may not
    see any more by 07:00.
    """
    at("2026-10-01T09:00Z")
    signed = str(desk("engineer").submit("P2")["id"])
    desk("tech-lead").decide(signed, "technical")
    desk("product-manager").decide(signed, "business")
    desk("eng-manager").decide(signed, "sign_off")
    giver = User.objects.get(username="tech-lead")
    delegations.delegate(
        actor=giver,
        receiver="devops2",
        starts_at=timezone.now(),
        ends_at=timezone.now() + timedelta(hours=12),
    )
    secret = str(desk("security").submit("P2", confidential=True)["id"])
    assert Message.objects.filter(
        subject__contains=secret, recipient__username="devops2", state="due"
    ).exists()
    at("2026-10-02T07:00Z")
    tick()
    assert not any(
        signed in message.subject + message.body
        for message in mail.outbox
        if message.to == ["eng-manager@example.com"]
    )
    assert not any(
        secret in message.subject + message.body
        for message in mail.outbox
        if message.to == [User.objects.get(username="devops2").email]
    )
    lead = [
        message
        for message in mail.outbox
        if message.to == [User.objects.get(username="devops-lead").email]
    ]
    assert [signed in message.subject for message in lead] == [True]
    assert (
        Message.objects.get(subject__contains=secret, recipient__username="devops2").state
        == "cancelled"
    )


def test_who_is_asked_where_a_usual_persons_colleague_is_away_or_nobody_reminds(
    desk: Sit, at: Any
) -> None:
    """The delegate of the role without a usual person is asked at once; where the policy has no
    reminder everybody is asked at first.
    """
    at("2026-10-01T09:00Z")
    usual(desk, engineering_manager="eng-manager", tech_lead="tech-lead")
    lead = User.objects.get(username="devops-lead")
    delegations.delegate(
        actor=lead,
        receiver="oncall",
        starts_at=timezone.now(),
        ends_at=timezone.now() + timedelta(days=2),
    )
    number = str(desk("engineer").submit("P2", components=["search"])["id"])
    desk("tech-lead").decide(number, "technical")
    desk("product-manager").decide(number, "business")
    signers = set(
        Message.objects.filter(subject__contains=f"{number} waits for your sign-off").values_list(
            "recipient__username", flat=True
        )
    )
    assert signers == {"eng-manager", "devops-lead", "oncall"}
    rules = Policy.objects.get().rules
    rules["P2"]["stages"][0][0] |= {"remind_hours": None, "escalate_hours": None}
    Policy.objects.update(rules=rules)
    silent = str(
        desk("engineer").submit(
            "P2",
            components=["search"],
            requested_date="2026-10-05",
            requested_window={"start": "2026-10-06T02:00Z"},
        )["id"]
    )
    assert "senior-devops" in asked(silent)
    at("2026-10-05T14:00Z")
    tick()
    assert "tech-lead" in asked(silent, "approval_reminder"), (
        "a near window reminds, whatever the policy says"
    )
