"""Acts on one change that take two people, in both orders, by API, page and token (A27, A37, X20,
X24).

`JUDGING` and `RUNNING` are all the acts there are: every pair is tried with one person who holds
every role.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group

from accounts.models import User
from audit.models import Event
from requests import apart
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
SLOT = "2026-10-06T02:00:00Z"


@pytest.fixture
def both(desk: Sit, at: Any) -> Desk:
    """Somebody with every deciding role: what keeps them apart are the acts alone."""
    at("2026-10-01T09:00Z")
    person = User.objects.create_user("both", email="both@example.com", name="Bo Thor")
    person.groups.set(Group.objects.exclude(name__in=["auditor", "manager"]))
    return Desk(User.objects.get(pk=person.pk))


def sign(desk: Sit, number: str) -> None:
    """The reviews and sign-offs of a P2, by four people."""
    for who, kind in (
        ("tech-lead", "technical"),
        ("product-manager", "business"),
        ("eng-manager", "sign_off"),
        ("devops-lead", "sign_off"),
    ):
        desk(who).decide(number, kind)


def approved(desk: Sit, **more: Any) -> str:
    number = str(desk("engineer").submit("P2", **more)["id"])
    sign(desk, number)
    return number


def taken(desk: Sit) -> None:
    """Somebody else has the component at that time."""
    other = approved(desk)
    desk("devops").post(f"/changes/{other}/schedule", {"start": SLOT})


def overriding(desk: Sit, both: Desk, expect: int = 200, number: str = "") -> str:
    number = number or approved(desk)
    taken(desk)
    both.post(
        f"/changes/{number}/schedule",
        {"start": SLOT, "override_reason": "Both may go on"},
        expect=expect,
    )
    return number


def test_whoever_overrode_neither_edits_nor_requests_nor_runs(
    desk: Sit, both: Desk, at: Any
) -> None:
    """A37, X20: also by being named, and not a second later."""
    number = overriding(desk, both)
    version = both.get(f"/changes/{number}")["version"]
    assert (
        both.call("PATCH", f"/changes/{number}", {"version": version, "reason": "x"}, expect=403)[
            "code"
        ]
        == "judged"
    )
    desk("engineer").post(f"/changes/{number}/transfer", {"requester": "both"}, expect=422)
    named = desk("engineer").call(
        "PATCH", f"/changes/{number}", {"version": version, "implementer": "both"}, expect=422
    )
    assert [error["field"] for error in named["errors"]] == ["implementer"]
    assert both.post(f"/changes/{number}/take-over", expect=403)["code"] == "judged"
    desk("devops").tick_off(number, "pre")
    at(SLOT)
    assert both.post(f"/changes/{number}/start", expect=403)["code"] == "judged"
    both.client.force_login(both.user)
    assert both.client.post(f"/changes/{number}/act/start").status_code == 403
    assert both.client.post(f"/changes/{number}/act/take-over", {"reason": "x"}).status_code == 403


@pytest.mark.parametrize("hand", ["requester", "editor", "implementer"])
def test_whoever_has_a_hand_in_it_overrides_and_grants_nothing(
    desk: Sit, both: Desk, hand: str
) -> None:
    """A27, A37: whoever requested, edited or implements it."""
    if hand == "requester":
        number = str(both.submit("P2")["id"])
    else:
        number = str(
            desk("engineer").submit(
                "P2", **({"implementer": "both"} if hand == "implementer" else {})
            )["id"]
        )
    if hand == "editor":
        both.patch(
            f"/changes/{number}",
            {"version": both.get(f"/changes/{number}")["version"], "reason": "Better said"},
        )
    sign(desk, number)
    overriding(desk, both, 403, number)
    both.post(
        f"/changes/{number}/freeze-exception",
        {"slot_start": "2026-11-17T02:00Z", "reason": "x"},
        expect=403,
    )


def test_the_requester_neither_makes_nor_confirms_the_opening_it_would_run_in(
    desk: Sit, both: Desk
) -> None:
    """X20, A37: a slot in an opening that its own people made or confirmed is refused, whoever
    books it.
    """
    from windows.models import MaintenanceWindow

    number = str(both.submit("P2")["id"])
    sign(desk, number)
    opening = MaintenanceWindow.objects.create(
        name="Saturday",
        begins="2026-10-10T08:00Z",
        minutes=300,
        made_by=desk("change-manager").user,
        confirmed_by=both.user,
    )
    body = {"start": "2026-10-10T09:00Z"}
    refused = desk("devops").post(f"/changes/{number}/schedule", body, expect=409)
    assert [reason["code"] for reason in refused["reasons"]] == ["own_opening"]
    assert (
        desk("devops").get(f"/changes/{number}/slots?after=2026-10-10T08:00Z&limit=1")["items"][0][
            "start"
        ]
        != "2026-10-10T08:00:00Z"
    )
    MaintenanceWindow.objects.filter(pk=opening.pk).update(confirmed_by=desk("cto").user)
    assert desk("devops").post(f"/changes/{number}/schedule", body)["state"] == "scheduled"


def test_whoever_made_the_opening_does_not_run_what_is_in_it(
    desk: Sit, both: Desk, at: Any
) -> None:
    """A37: then or later: they neither take it over nor start it."""
    from windows.models import MaintenanceWindow

    number = approved(desk)
    MaintenanceWindow.objects.create(
        name="Saturday",
        begins="2026-10-10T08:00Z",
        minutes=300,
        made_by=desk("change-manager").user,
        confirmed_by=both.user,
    )
    desk("devops").post(f"/changes/{number}/schedule", {"start": "2026-10-10T09:00Z"})
    assert both.post(f"/changes/{number}/take-over", expect=403)["code"] == "judged"
    desk("devops").post(f"/changes/{number}/unschedule", {"reason": "Later"})
    desk("devops").post(f"/changes/{number}/schedule", {"start": SLOT})
    assert both.post(f"/changes/{number}/take-over")["implementer"] == "both"


def signed_alone(desk: Sit, at: Any, signer: Desk) -> str:
    """A P3 whose only sign-off this person gave; its slot has begun."""
    number = str(desk("engineer").submit("P3", requested_window={"start": SLOT})["id"])
    desk("tech-lead").decide(number, "technical")
    signer.decide(number, "sign_off")
    desk("devops").tick_off(number, "pre")
    at(SLOT)
    return number


def test_the_only_approver_takes_over_no_run_that_is_worked_on(
    desk: Sit, both: Desk, at: Any
) -> None:
    """X20, A2, A37: a colleague starts, and a second later the approver is still refused; after ten
    minutes without an act, with a reason.
    """
    number = signed_alone(desk, at, both)
    assert both.post(f"/changes/{number}/start", expect=403)["code"] == "only_approver"
    desk("devops").post(f"/changes/{number}/start")
    at("2026-10-06T02:00:01Z")
    assert (
        both.post(f"/changes/{number}/take-over", {"reason": "I can"}, expect=403)["code"]
        == "only_approver"
    )
    at("2026-10-06T02:09:59Z")
    assert (
        both.post(f"/changes/{number}/take-over", {"reason": "He is gone"}, expect=403)["code"]
        == "only_approver"
    )
    at("2026-10-06T02:10:00Z")
    assert both.post(f"/changes/{number}/take-over", expect=409)["code"] == "reason"
    assert (
        both.post(f"/changes/{number}/take-over", {"reason": "He does not answer"})["implementer"]
        == "both"
    )
    assert (
        "You alone gave the last approval"
        in Event.objects.get(action="change.take_over").data["barred"]
    )
    desk("devops2").tick_off(number, "start", "during")
    assert both.post(f"/changes/{number}/finish", expect=409)["code"] == "second_person"
    both.post(f"/changes/{number}/take-over/accept", {"reason": "x"}, expect=403)
    desk("devops").post(f"/changes/{number}/take-over/accept", {"reason": "x"}, expect=403)
    desk("devops-lead").post(f"/changes/{number}/take-over/accept", {"reason": "I watch"})
    assert both.post(f"/changes/{number}/finish")["state"] == "verifying"


@pytest.mark.parametrize("who", ["engineer", "devops"])
def test_whoever_has_a_hand_in_it_lets_no_left_run_go_forward(
    desk: Sit, both: Desk, at: Any, who: str
) -> None:
    """A37: its requester, and whoever began it, are no second person, also when they are on
    call.
    """
    number = signed_alone(desk, at, both)
    desk("devops").post(f"/changes/{number}/start")
    desk("devops").tick_off(number, "start", "during")
    at("2026-10-06T02:20:00Z")
    both.post(f"/changes/{number}/take-over", {"reason": "He does not answer"})
    User.objects.get(username=who).groups.add(Group.objects.get(name="on-call-engineer"))
    hand = Desk(User.objects.get(username=who))
    assert (
        hand.post(f"/changes/{number}/take-over/accept", {"reason": "I watch"}, expect=403)["code"]
        == "own_change"
    )
    assert both.post(f"/changes/{number}/finish", expect=409)["code"] == "second_person"
    desk("oncall").post(f"/changes/{number}/take-over/accept", {"reason": "I watch"})
    assert both.post(f"/changes/{number}/finish")["state"] == "verifying"


def test_a_run_that_was_left_is_made_safe_at_once(desk: Sit, both: Desk, at: Any) -> None:
    """A30, A37: back is refused by nothing, also not by who judged it."""
    number = signed_alone(desk, at, both)
    desk("devops").post(f"/changes/{number}/start")
    at("2026-10-06T02:20:00Z")
    both.post(f"/changes/{number}/take-over", {"reason": "He does not answer"})
    assert (
        both.post(f"/changes/{number}/roll-back", {"reason": "Errors"})["state"] == "rolling_back"
    )
    both.tick_off(number, "rollback")
    assert both.post(f"/changes/{number}/finish-rollback")["state"] == "rolled_back"


def test_in_whose_name_it_was_given_starts_it_no_more_than_who_gave_it(
    desk: Sit, both: Desk, at: Any
) -> None:
    """X20, A37: the giver of a delegation, too; of a telephone approval whoever only recorded it
    may.
    """
    from accounts.models import Delegation

    receiver = desk("senior-devops")
    receiver.user.groups.clear()
    receiver.user.groups.add(Group.objects.get(name="engineer"))
    Delegation.objects.create(
        giver=both.user,
        receiver=receiver.user,
        starts_at="2026-09-01T00:00Z",
        ends_at="2026-10-05T00:00Z",
    )
    number = signed_alone(desk, at, Desk(User.objects.get(username="senior-devops")))
    assert both.post(f"/changes/{number}/start", expect=403)["code"] == "only_approver"
    assert desk("devops").post(f"/changes/{number}/start")["state"] == "implementing"


def test_a_second_person_is_neither_requester_nor_author(desk: Sit, both: Desk, at: Any) -> None:
    """X24: failed check and review; whether a P0 was justified is said by change manager, CTO or
    contact who did not authorise it.
    """
    number = str(both.submit("P0")["id"])
    desk("cto").decide(number, "emergency")
    desk("devops").post(f"/changes/{number}/start")
    check = desk("devops").post(
        f"/changes/{number}/checks", {"name": "smoke", "kind": "smoke", "passed": False}, expect=201
    )
    assert (
        both.post(
            f"/changes/{number}/checks/{check['id']}/acceptance", {"reason": "x"}, expect=403
        )["code"]
        == "own_change"
    )
    desk("devops").post(f"/changes/{number}/fail", {"reason": "No use"})
    desk("devops").put(
        f"/changes/{number}/review", {"summary": "It failed", "runbook_updated": False}
    )
    justified = {"p0_justified": True}
    for who in (both, desk("tech-lead"), desk("devops"), desk("cto")):
        who.post(f"/changes/{number}/review/confirmation", justified, expect=403)
    assert desk("emergency-contact").post(
        f"/changes/{number}/review/confirmation", justified, expect=200
    )


def test_no_token_judges(desk: Sit, both: Desk) -> None:
    """A37, contract: override and grants need a session."""
    from accounts import registry

    number = approved(desk)
    taken(desk)
    _, secret = registry.make_token(actor=both.user, name="t", scope="write", days=1)
    headers = {"Authorization": f"Bearer {secret}"}
    both.post(
        f"/changes/{number}/freeze-exception",
        {"slot_start": "2026-11-17T02:00Z", "reason": "x"},
        expect=403,
        **headers,
    )


def test_the_table_is_complete() -> None:
    """Every act that judges a change is named where it is read; a new one has to be put beside the
    others.
    """
    assert set(apart.JUDGING) == {
        "change.schedule", "change.reschedule", "change.freeze_exception",
        "implementation.check_accept", "implementation.review_confirm",
    }  # fmt: skip
    assert set(apart.RAN) == {
        f"change.{verb}"
        for verb in (
            "start",
            "take_over",
            "finish",
            "complete",
            "roll_back",
            "finish_rollback",
            "fail",
        )
    }
