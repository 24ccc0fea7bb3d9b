"""A one-off opening for a change is proposed and confirmed by people who have no hand in it (A27,
A37); an opening names no change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group

from accounts.models import User
from notifications.models import Message
from tests.implementation.run.test_apart import both, sign
from tests.windows.rules.test_rules import opening, save
from tests.world import Desk
from windows.models import MaintenanceWindow

__all__ = ["both"]
pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
WANTED = "2026-10-10T09:00Z"  # a Saturday, in no window


def asking(desk: Sit, both: Desk, hand: str, **more: Any) -> str:
    """A change in review whose people ask for `WANTED`; `both` has this hand in it."""
    wanted = {"requested_window": {"start": WANTED}} | more
    if hand == "requests":
        return str(both.submit("P2", **wanted)["id"])
    number = str(
        desk("engineer").submit(
            "P2", **wanted | ({"implementer": "both"} if hand == "implements" else {})
        )["id"]
    )
    if hand == "edits":
        both.patch(
            f"/changes/{number}",
            {"version": both.get(f"/changes/{number}")["version"], "reason": "Better said"},
        )
    return number


@pytest.mark.parametrize("hand", ["requests", "edits", "implements"])
def test_whoever_has_a_hand_in_it_proposes_no_opening_for_it(
    desk: Sit, both: Desk, hand: str
) -> None:
    """A37: refused where it is proposed, not when the slot is booked; nothing is left behind."""
    number = asking(desk, both, hand)
    refused = both.post(
        "/calendar/rules",
        {"edits": [opening("Saturday", "2026-10-10T08:00")], "reason": "For the sale"},
        expect=409,
    )
    assert [(reason["code"], reason["message"]) for reason in refused["reasons"]] == [
        ("own_opening",
            f"{number}, which you requested, edited or implement, asks for a time in this opening: "
            "another change manager proposes it.")
    ]  # fmt: skip
    assert not MaintenanceWindow.objects.filter(name="Saturday").exists()
    assert not Message.objects.filter(kind="proposal").exists()


@pytest.mark.parametrize(("begins", "status"), [
    ("2026-10-10T06:59", 200), ("2026-10-10T07:00", 200), ("2026-10-10T07:01", 409),
    ("2026-10-10T09:00", 409), ("2026-10-10T09:01", 200),
])  # fmt: skip
def test_an_opening_beside_it_is_nobodys(desk: Sit, both: Desk, begins: str, status: int) -> None:
    """A37: two hours that end at its start, or begin after it, do not serve it; a minute
    more does.
    """
    asking(desk, both, "requests")
    both.call(
        "POST",
        "/calendar/rules",
        {"edits": [opening("Saturday", begins)], "reason": "For the sale"},
        expect=status,
    )


@pytest.mark.parametrize(
    ("scope", "status"), [(["cdn"], 200), (["search"], 409), (["cdn", "search"], 409), ([], 409)]
)
def test_an_opening_for_other_components_is_nobodys(
    desk: Sit, both: Desk, scope: list[str], status: int
) -> None:
    """A37: it serves what it is open for."""
    asking(desk, both, "requests", components=["search"])
    both.call(
        "POST",
        "/calendar/rules",
        {"edits": [opening("Saturday", "2026-10-10T08:00", scope=scope)], "reason": "Sale"},
        expect=status,
    )


@pytest.mark.parametrize("hand", ["requests", "edits", "implements"])
def test_nor_do_they_confirm_it(desk: Sit, both: Desk, hand: str) -> None:
    """A37: they are not asked, their page says why, the API refuses; somebody else confirms it, and
    the change is booked into it.
    """
    asking(desk, both, hand)
    held = save(desk, opening("Saturday", "2026-10-10T08:00"), expect=200)
    key = held["proposal"]
    assert "both" not in Message.objects.filter(kind="proposal").values_list(
        "recipient__username", flat=True
    )
    refusal = both.post(f"/proposals/{key}/confirm", expect=403)
    assert [reason["code"] for reason in refusal["reasons"]] == ["own_change"]
    desk("cto").post(f"/proposals/{key}/confirm")
    assert MaintenanceWindow.objects.filter(name="Saturday").exists()


def test_an_opening_that_was_asked_for_by_name_counts_as_asking(desk: Sit, both: Desk) -> None:
    """A37: “Ask for an opening” is in the trail alone; the requester who is change manager does not
    answer it themselves.
    """
    number = str(both.submit("P2")["id"])
    both.client.force_login(both.user)
    sent = both.client.post(
        f"/changes/{number}/act/ask-opening", {"start": WANTED, "reason": "It fits no window"}
    )
    assert sent.status_code == 302
    body = {"edits": [opening("Saturday", "2026-10-10T08:00")], "reason": "For the sale"}
    assert [
        reason["code"] for reason in both.post("/calendar/rules", body, expect=409)["reasons"]
    ] == ["own_opening"]


def test_what_has_begun_or_ended_asks_for_nothing(desk: Sit, both: Desk) -> None:
    """A37: a cancelled change bars nobody."""
    number = asking(desk, both, "requests")
    both.post(f"/changes/{number}/cancel", {"reason": "Not needed"})
    save(desk, opening("Saturday", "2026-10-10T08:00"), who="both", expect=200)


def test_somebody_without_a_hand_in_it_proposes_it(desk: Sit, both: Desk) -> None:
    """The other way round: the rule bars hands, not change managers."""
    asking(desk, both, "requests")
    second = User.objects.create_user("second", email="second@example.com", name="Sena Koy")
    second.groups.add(Group.objects.get(name="change-manager"))
    save(desk, opening("Saturday", "2026-10-10T08:00"), who="second", expect=200)


@pytest.mark.parametrize(("zone", "begins"), [
    ("UTC", "2026-10-10T08:00"), ("Europe/Berlin", "2026-10-10T10:00"),
    ("Asia/Tokyo", "2026-10-10T17:00"), ("America/Los_Angeles", "2026-10-10T01:00"),
    ("Pacific/Kiritimati", "2026-10-10T22:00"), ("Pacific/Pago_Pago", "2026-10-09T21:00"),
])  # fmt: skip
def test_it_is_found_in_whatever_zone_it_is_written(
    desk: Sit, both: Desk, zone: str, begins: str
) -> None:
    """A37: 08:00 to 10:00 UTC, in the words of six places."""
    asking(desk, both, "requests")
    body = {"edits": [opening("Saturday", begins, zone=zone)], "reason": "For the sale"}
    assert [
        reason["code"] for reason in both.post("/calendar/rules", body, expect=409)["reasons"]
    ] == ["own_opening"]


@pytest.mark.parametrize(("rule", "until", "status"), [
    ("FREQ=DAILY", "2026-10-10", 409), ("FREQ=DAILY", "2026-10-11", 200),
    ("FREQ=WEEKLY;BYDAY=SA", "2026-10-16", 409),
    ("FREQ=WEEKLY;BYDAY=SA", "2026-10-17", 200),
])  # fmt: skip
def test_a_rule_that_comes_once_is_an_opening(
    desk: Sit, both: Desk, rule: str, until: str, status: int
) -> None:
    """A37: what ends before it comes again is one opening, whatever it is called; what comes again
    is a window of everybody's.
    """
    number = asking(desk, both, "requests")
    edit = opening("Saturday", "2026-10-10T08:00", rule=rule, until=until)
    both.call("POST", "/calendar/rules", {"edits": [edit], "reason": "For the sale"}, expect=status)
    made = MaintenanceWindow.objects.create(
        name="Made by both",
        rule=rule,
        begins="2026-10-10T08:00Z",
        minutes=120,
        until=until,
        made_by=both.user,
        confirmed_by=desk("cto").user,
    )
    assert made.pk
    sign(desk, number)
    found = desk("engineer").get(f"/changes/{number}")
    assert (found["slot"] or {}).get("start") == (None if status == 409 else "2026-10-10T09:00:00Z")


@pytest.mark.parametrize(
    ("priorities", "status"), [(["P1"], 200), (["P2"], 409), (["P1", "P2"], 409)]
)
def test_an_opening_for_other_priorities_is_nobodys(
    desk: Sit, both: Desk, priorities: list[str], status: int
) -> None:
    """A37: it serves whom it admits."""
    asking(desk, both, "requests")
    edit = opening("Saturday", "2026-10-10T08:00", priorities=priorities)
    both.call("POST", "/calendar/rules", {"edits": [edit], "reason": "For the sale"}, expect=status)


def test_what_is_booked_elsewhere_asks_for_nothing_here(desk: Sit, both: Desk) -> None:
    """A37: its window was not free, it has another slot: the opening is not for it any more."""
    number = asking(desk, both, "requests")
    sign(desk, number)
    desk("devops").post(f"/changes/{number}/schedule", {"start": "2026-10-06T02:00Z"})
    save(desk, opening("Saturday", "2026-10-10T08:00"), who="both", expect=200)
