"""The approvals' clocks, each one step before its limit and one step after it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group

from accounts.models import Delegation, Duty, User
from audit.models import Event
from changemgmt.tick import tick
from notifications.models import Message
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
Clock = Callable[[str], None]


def told(kind: str) -> list[str]:
    """Who has been told of it, each as often as they were."""
    rows = Message.objects.filter(kind=kind).values_list("recipient__username", flat=True)
    return sorted(rows)


def approved(desk: Sit, **more: Any) -> str:
    number = str(desk("engineer").submit("P2", **more)["id"])
    for who, kind in (
        ("tech-lead", "technical"),
        ("product-manager", "business"),
        ("eng-manager", "sign_off"),
        ("devops-lead", "sign_off"),
    ):
        desk(who).decide(number, kind)
    return number


def state(desk: Sit, number: str) -> str:
    return str(desk("engineer").get(f"/changes/{number}")["state"])


# --- an approval that nobody uses ------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "before", "after"),
    [
        # No freeze in between: ninety days.
        ("2027-02-01T09:00Z", "2027-05-02T08:59Z", "2027-05-02T09:01Z"),
        # From 12 November (14 days before Thanksgiving) to the end of 1 January nothing but a P0
        # starts: 51 days, which do not count.
        ("2026-10-01T09:00Z", "2027-02-19T08:59Z", "2027-02-19T09:01Z"),
        # Given in the midst of that: the ninety days begin with 2 January.
        ("2026-12-20T09:00Z", "2027-04-01T23:59Z", "2027-04-02T00:01Z"),
    ],
)
def test_an_approval_lapses_after_ninety_days_that_count(
    desk: Sit,
    at: Clock,
    given: str,
    before: str,
    after: str,
) -> None:
    """A5, A7: unused for 90 days, freeze weeks not counted, it goes back to its requester."""
    at(given)
    number = approved(desk, requested_date=given[:10])
    at(before)
    assert (tick()["lapses"], state(desk, number), told("lapsed")) == (0, "approved", [])
    at(after)
    assert (tick()["lapses"], state(desk, number)) == (1, "changes_requested")
    assert (tick()["lapses"], told("lapsed")) == (0, ["engineer"])


def test_a_lapsed_approval_must_be_given_anew_by_everybody(desk: Sit, at: Clock) -> None:
    """A7: submitted again it is a new round; no verdict of before counts."""
    at("2027-02-01T09:00Z")
    number = approved(desk, requested_date="2027-02-01")
    at("2027-05-02T09:01Z")
    tick()
    assert {s["state"] for s in desk("engineer").steps(number)} == {"stale"}
    version = desk("engineer").get(f"/changes/{number}")["version"]
    later = {"version": version, "requested_date": "2027-05-03"}
    desk("engineer").patch(f"/changes/{number}", later)
    desk("engineer").post(f"/changes/{number}/submit")
    now = [(s["kind"], s["state"]) for s in desk("engineer").steps(number) if s["round"] == 2]
    assert now == [("technical", "open"), ("business", "open"), ("sign_off", "waiting")]


def test_a_booked_change_does_not_lapse(desk: Sit, at: Clock) -> None:
    """A7: unused means without a slot; given back, it is measured from its approval."""
    at("2027-02-01T09:00Z")
    number = approved(desk, requested_date="2027-02-01")
    desk("engineer").post(f"/changes/{number}/schedule", {"start": "2027-05-04T02:00Z"})
    at("2027-05-03T09:00Z")
    assert (tick()["lapses"], state(desk, number)) == (0, "scheduled")
    desk("engineer").post(f"/changes/{number}/unschedule", {"reason": "Not yet"})
    assert (tick()["lapses"], state(desk, number)) == (1, "changes_requested")


# --- by telephone, and before anybody answered -------------------------------------------------


def emergency(desk: Sit, at: Clock) -> str:
    at("2026-10-01T02:00Z")
    return str(desk("engineer").submit("P0")["id"])


def emergency_step(desk: Sit, number: str) -> str:
    step = next(s for s in desk("cto").steps(number) if s["kind"] == "emergency")
    return f"/changes/{number}/steps/{step['id']}/confirmation"


def test_a_telephone_approval_is_escalated_once_after_24_hours(desk: Sit, at: Clock) -> None:
    """A4: not a second before; to CTO, change manager, who recorded it and who is named."""
    number = emergency(desk, at)
    desk("oncall").decide(number, "emergency", on_behalf_of="emergency-contact")
    at("2026-10-02T01:59:59Z")
    assert (tick()["overdue_confirmations"], told("phone_unanswered")) == (0, [])
    at("2026-10-02T02:00:00Z")
    assert tick()["overdue_confirmations"] == 1
    people = ["change-manager", "cto", "emergency-contact", "oncall"]
    assert told("phone_unanswered") == people
    at("2026-10-03T02:00:00Z")
    assert (tick()["overdue_confirmations"], told("phone_unanswered")) == (0, people)


def test_an_answer_in_time_leaves_nothing_to_escalate(desk: Sit, at: Clock) -> None:
    """A4: answered a second before the end, the clock finds nothing."""
    number = emergency(desk, at)
    desk("oncall").decide(number, "emergency", on_behalf_of="cto")
    at("2026-10-02T01:59:59Z")
    desk("cto").post(emergency_step(desk, number), {"answer": "approved"})
    at("2026-10-02T02:00:00Z")
    assert (tick()["overdue_confirmations"], told("phone_unanswered")) == (0, [])


@pytest.mark.parametrize(
    ("instant", "late"),
    [("2026-10-02T02:00:00Z", False), ("2026-10-02T02:00:01Z", True)],
)
def test_an_answer_about_the_telephone_is_late_after_24_hours(
    desk: Sit,
    at: Clock,
    instant: str,
    late: bool,
) -> None:
    """A4: within 24 hours; a later one is taken too, and the trail says that it was late."""
    number = emergency(desk, at)
    desk("oncall").decide(number, "emergency", on_behalf_of="cto")
    at(instant)
    desk("cto").post(emergency_step(desk, number), {"answer": "not_approved"})
    assert Event.objects.get(action="approval.confirm").data["late"] is late


def test_a_start_before_authorisation_is_escalated_once_after_24_hours(
    desk: Sit,
    at: Clock,
) -> None:
    """A4: ratified or not within 24 hours of the start, not of the request."""
    number = emergency(desk, at)
    at("2026-10-01T02:30Z")
    desk("oncall").post(f"/changes/{number}/start", {"reason": "Called the CTO, no answer"})
    at("2026-10-02T02:29:59Z")
    assert (tick()["overdue_ratifications"], told("ratification_overdue")) == (0, [])
    at("2026-10-02T02:30:00Z")
    assert tick()["overdue_ratifications"] == 1
    people = ["change-manager", "cto", "emergency-contact", "engineer"]
    assert told("ratification_overdue") == people
    at("2026-10-03T02:30:00Z")
    assert (tick()["overdue_ratifications"], told("ratification_overdue")) == (0, people)


@pytest.mark.parametrize(
    ("instant", "late"),
    [("2026-10-02T02:00:00Z", False), ("2026-10-02T02:00:01Z", True)],
)
def test_a_ratification_is_late_after_24_hours(
    desk: Sit,
    at: Clock,
    instant: str,
    late: bool,
) -> None:
    """A4: a later answer is taken too, and the trail says that it was late."""
    number = emergency(desk, at)
    desk("oncall").post(f"/changes/{number}/start", {"reason": "Called the CTO, no answer"})
    at(instant)
    desk("cto").post(emergency_step(desk, number), {"answer": "ratified"})
    assert Event.objects.get(action="approval.ratify").data["late"] is late


# --- deputies ----------------------------------------------------------------------------------


def asked() -> list[str]:
    """Whoever was called to the emergency, in that order."""
    rows = Message.objects.filter(kind="approval_waiting").order_by("id")
    return list(rows.values_list("recipient__username", flat=True))


@pytest.fixture
def roster(desk: Sit) -> None:
    """Two deputies behind the emergency contact."""
    for order, username in ((2, "senior-devops"), (3, "devops-lead")):
        person = User.objects.get(username=username)
        person.groups.add(Group.objects.get(name="emergency-contact"))
        duty = {"kind": "emergency-contact", "order": order, "starts_at": "2026-01-01T00:00Z"}
        Duty.objects.create(user=person, **duty)


@pytest.mark.usefixtures("roster")
def test_one_more_deputy_is_called_every_five_minutes(desk: Sit, at: Clock) -> None:
    """R3, R4, A3: CTO and contact at once, then a deputy at 5 and at 10 minutes, to the last."""
    emergency(desk, at)
    assert sorted(asked()) == ["cto", "emergency-contact"]
    found = []
    for instant in ("02:04:59", "02:05:00", "02:09:59", "02:10:00", "02:15:00", "03:00:00"):
        at(f"2026-10-01T{instant}Z")
        found.append((instant, tick()["deputies"], asked()[2:]))
    assert found == [
        ("02:04:59", 0, []),
        ("02:05:00", 1, ["senior-devops"]),
        ("02:09:59", 0, ["senior-devops"]),
        ("02:10:00", 1, ["senior-devops", "devops-lead"]),
        ("02:15:00", 0, ["senior-devops", "devops-lead"]),
        ("03:00:00", 0, ["senior-devops", "devops-lead"]),
    ]


@pytest.mark.usefixtures("roster")
def test_no_deputy_is_called_once_it_is_authorised(desk: Sit, at: Clock) -> None:
    """A3: authorised a second before the first call, nobody else is woken."""
    number = emergency(desk, at)
    at("2026-10-01T02:04:59Z")
    desk("cto").decide(number, "emergency")
    at("2026-10-01T02:05:00Z")
    assert (tick()["deputies"], sorted(asked())) == (0, ["cto", "emergency-contact"])


# --- reminders ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("submitted", "more", "before", "due"),
    [
        # No window asked for: reminded of after a day.
        ("2026-10-01T09:00Z", {}, "2026-10-02T08:59:59Z", "2026-10-02T09:00:00Z"),
        # After four hours the window asked for, Tuesday at two, is 48 hours away.
        (
            "2026-10-03T22:00Z",
            {"requested_window": {"start": "2026-10-06T02:00Z"}, "requested_date": "2026-10-06"},
            "2026-10-04T01:59:59Z",
            "2026-10-04T02:00:00Z",
        ),
    ],
)
def test_reviewers_are_reminded_once(
    desk: Sit,
    at: Clock,
    submitted: str,
    more: dict[str, Any],
    before: str,
    due: str,
) -> None:
    """Promise 5: after 24 hours, after 4 where the window is near; everybody of both steps."""
    at(submitted)
    desk("engineer").submit("P2", **more)
    at(before)
    assert (tick()["approvals_waiting"], told("approval_reminder")) == (0, [])
    at(due)
    assert tick()["approvals_waiting"] == 2
    everybody = ["eng-manager", "product-manager", "senior-devops", "tech-lead"]
    assert (tick()["approvals_waiting"], told("approval_reminder")) == (0, everybody)


def test_what_is_stuck_is_told_once_after_three_days(desk: Sit, at: Clock) -> None:
    """Promise 5: after 72 hours to requester and change manager, not a second before."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    desk("product-manager").decide(number, "business")
    at("2026-10-04T08:59:59Z")
    tick()
    assert told("approval_stuck") == []
    at("2026-10-04T09:00:00Z")
    tick()
    tick()
    assert told("approval_stuck") == ["change-manager", "engineer"]


# --- delegations -------------------------------------------------------------------------------


def delegate(desk: Sit, start: datetime, length: timedelta) -> int:
    lead = desk("tech-lead")
    lead.client.force_login(lead.user)
    form = {
        "receiver": "devops2",
        "starts_at": f"{start:%Y-%m-%dT%H:%M}",
        "ends_at": f"{start + length:%Y-%m-%dT%H:%M}",
        "reason": "Away",
    }
    return int(lead.client.post("/settings/delegations/", form).status_code)


@pytest.mark.parametrize(
    ("length", "status"),
    [
        (timedelta(days=90), 302),
        (timedelta(days=90, minutes=1), 422),
        (timedelta(minutes=1), 302),
        (timedelta(minutes=0), 422),
    ],
)
def test_a_delegation_lasts_at_most_ninety_days(
    desk: Sit,
    at: Clock,
    length: timedelta,
    status: int,
) -> None:
    """A2, A26: to the minute; from now on and for a time to come alike."""
    at("2026-10-01T09:00Z")
    for start in ("2026-10-01T09:00+00:00", "2027-03-01T00:00+00:00"):
        assert delegate(desk, datetime.fromisoformat(start), length) == status, start
    assert Delegation.objects.count() == (2 if status == 302 else 0)


@pytest.mark.parametrize(
    ("instant", "status"),
    [
        ("2026-10-01T11:59:59Z", 403),
        ("2026-10-01T12:00:00Z", 200),
        ("2026-10-02T11:59:59Z", 200),
        ("2026-10-02T12:00:00Z", 403),
    ],
)
def test_a_delegate_decides_from_its_first_second_to_its_last(
    desk: Sit,
    at: Clock,
    instant: str,
    status: int,
) -> None:
    """A2: from noon to noon; not a second before, and not at its end."""
    at("2026-10-01T09:00Z")
    number = desk("engineer").submit("P2")["id"]
    noon = datetime.fromisoformat("2026-10-01T12:00+00:00")
    assert delegate(desk, noon, timedelta(days=1)) == 302
    at(instant)
    desk("devops2").decide(number, "technical", expect=status)
