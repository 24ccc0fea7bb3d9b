"""The stories of the process through HTTP with a real worker and beat, as `script/server` runs
them.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.product import Person, eventually, running
from tests.world import fields

pytestmark = pytest.mark.journey
People = Callable[[str], Person]


def staff(base: str) -> People:
    found: dict[str, Person] = {}

    def person(username: str) -> Person:
        return found.setdefault(username, Person(base, username))

    return person


@pytest.fixture(scope="module")
def tuesday(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[People, Path]]:
    """Tuesday 6 October 2026, 02:04 UTC: the Primary window is open. The folder has a space in its
    name.
    """
    var = tmp_path_factory.mktemp("tuesday") / "a folder"
    with running(var, clock="2026-10-06T02:04:00Z") as base:
        yield staff(base), var


@pytest.fixture(scope="module")
def black_friday(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """Black Friday 2026, 14:00 UTC."""
    with running(tmp_path_factory.mktemp("black-friday"), clock="2026-11-27T14:00:00Z") as base:
        yield staff(base)


def approve(people: People, number: str, *, security: bool = False) -> None:
    people("tech-lead").decide(number, "technical")
    people("product-manager").decide(number, "business")
    if security:
        people("security").decide(number, "security")
    people("eng-manager").decide(number, "sign_off")
    people("devops-lead").decide(number, "sign_off")


def next_minute(people: People) -> str:
    """The product's own clock tells the time: a slot begins on a whole minute."""
    now = people("devops").post("/changes", {"summary": "What time is it?"}, expect=201)[
        "created_at"
    ]
    return f"{(datetime.fromisoformat(now) + timedelta(minutes=1)):%Y-%m-%dT%H:%MZ}"


def book_now(people: People, number: str) -> None:
    book(people, number)
    eventually(lambda: people("devops").get(f"/gate/{number}")["allow"])


def book(people: People, number: str) -> None:
    people("devops").post(
        f"/changes/{number}/schedule",
        {
            "start": next_minute(people),
            "short_notice_reason": "The window is open and nothing else is booked.",
        },
    )
    people("devops").tick_off(number, "pre")


def mails(var: Path) -> list[str]:
    """Subjects of what the worker has handed to the mail server."""
    found = []
    for path in sorted(next(var.glob("clock-*")).glob("mail/*.eml")):
        found.append(
            str(email.message_from_bytes(path.read_bytes(), policy=email.policy.default)["Subject"])
        )
    return found


@pytest.fixture(scope="module")
def booked_p1(tuesday: Any) -> str:
    """One that touches authentication, approved and booked at the next whole minute: the story
    before it waits for that minute, too.
    """
    people, _ = tuesday
    number = people("engineer").post(
        "/changes",
        fields("P1", components=["cdn"], affects_authentication=True, requested_date="2026-10-06"),
        expect=201,
    )["id"]
    people("engineer").post(f"/changes/{number}/submit")
    approve(people, number, security=True)
    book(people, number)
    return str(number)


def test_a_p2_from_form_to_closed_in_the_tuesday_window(tuesday: Any, booked_p1: str) -> None:
    """R7, R8, R36, R147; the worker tells those who must act."""
    people, var = tuesday
    change = people("engineer").post(
        "/changes", fields("P2", components=["build-farm"], requested_date="2026-10-06"), expect=201
    )
    number = change["id"]
    people("engineer").post(f"/changes/{number}/submit")
    soon = people("engineer").post(
        "/changes",
        fields(
            "P2",
            components=["cdn"],
            requested_date="2026-10-06",
            requested_window={"start": "2026-10-08T02:00Z"},
        ),
        expect=201,
    )["id"]
    people("engineer").post(f"/changes/{soon}/submit")
    eventually(lambda: f"P2 {soon} waits for your technical review" in mails(var))
    assert f"P2 {number} waits for your technical review" not in mails(var), (
        "it comes with the mail of the day"
    )
    approve(people, number)
    book_now(people, number)
    devops = people("devops")
    assert devops.post(f"/changes/{number}/start")["state"] == "implementing"
    assert devops.get(f"/gate/{number}")["until"] == "2026-10-06T04:00:00Z"
    devops.tick_off(number, "start", "during")
    devops.post(f"/changes/{number}/finish")
    devops.tick_off(number, "post")
    devops.post(f"/changes/{number}/complete", {"reason": "Watched by two people; nothing moves."})
    devops.call(
        "PUT",
        f"/changes/{number}/review",
        {"summary": "As planned.", "lessons": "Nights are calm."},
    )
    assert devops.get(f"/changes/{number}")["state"] == "closed"
    eventually(lambda: any(subject.startswith(f"{number}: review due") for subject in mails(var)))


def test_a_p1_that_touches_authentication_is_reviewed_by_security_and_rolled_back(
    tuesday: Any, booked_p1: str
) -> None:
    """R43, R44, R97, R150."""
    people, number = tuesday[0], booked_p1
    eventually(lambda: people("devops").get(f"/gate/{number}")["allow"])
    devops = people("devops")
    devops.post(f"/changes/{number}/start")
    issue = devops.post(
        f"/changes/{number}/issues", {"severity": "P0", "summary": "Nobody can sign in"}, expect=201
    )
    assert issue["prescribed_action"] == "Immediate rollback"
    devops.post(
        f"/changes/{number}/roll-back", {"reason": "Sign-in is down", "trigger": "critical"}
    )
    devops.tick_off(number, "rollback")
    assert devops.post(f"/changes/{number}/finish-rollback")["state"] == "rolled_back"
    devops.call(
        "PUT",
        f"/changes/{number}/review",
        {"summary": "The token format differed.", "runbook_updated": False},
    )
    people("tech-lead").post(f"/changes/{number}/review/confirmation")
    assert devops.get(f"/changes/{number}")["state"] == "closed"


def test_a_p3_is_booked_by_itself_into_the_next_window(tuesday: Any) -> None:
    """R11, R12: at least 24 hours ahead."""
    people, _ = tuesday
    number = people("engineer").post(
        "/changes",
        fields("P3", components=["load-balancer"], requested_date="2026-10-06"),
        expect=201,
    )["id"]
    people("engineer").post(f"/changes/{number}/submit")
    people("senior-devops").decide(number, "technical")
    people("devops2").decide(number, "sign_off")
    assert (
        people("engineer").get(f"/changes/{number}")["slot"]["start"].startswith("2026-10-08T02:")
    )


def test_a_change_edited_after_approval_must_be_approved_again(tuesday: Any) -> None:
    people, _ = tuesday
    engineer = people("engineer")
    number = engineer.post(
        "/changes",
        fields("P2", components=["recommendations"], requested_date="2026-10-06"),
        expect=201,
    )["id"]
    engineer.post(f"/changes/{number}/submit")
    approve(people, number)
    version = engineer.get(f"/changes/{number}")["version"]
    assert (
        engineer.call(
            "PATCH", f"/changes/{number}", {"version": version, "rollback_plan": "Another"}
        )["state"]
        == "in_review"
    )
    people("devops").post(f"/changes/{number}/schedule", {"start": "2026-10-13T02:00Z"}, expect=409)
    approve(people, number)
    assert (
        people("devops").post(f"/changes/{number}/schedule", {"start": "2026-10-13T02:00Z"})[
            "state"
        ]
        == "scheduled"
    )


def test_the_month_contains_them_all(tuesday: Any) -> None:
    """The report's numbers are the counts of the lists that it opens."""
    people, _ = tuesday
    manager = people("manager")
    report = manager.get("/reports/monthly/2026-10.json")
    listed = manager.get("/changes?ended=2026-10&limit=200")["items"]
    assert report["total"] == len(listed) == len(report["changes"])
    assert (
        report["rolled_back"]["count"]
        == sum(change["outcome"] == "rolled_back" for change in listed)
        >= 1
    )
    assert (
        report["successful"]["count"]
        == sum(change["outcome"] == "completed" for change in listed)
        >= 1
    )
    assert report["by_priority"]["P1"] == sum(change["priority"] == "P1" for change in listed) >= 1
    assert sum(report["by_priority"].values()) == report["total"]
    assert report["emergency"] == report["by_priority"]["P0"]
    assert "Nights are calm." in report["lessons"]
    assert "Nobody can sign in" in [issue["summary"] for issue in report["issues"]]


def test_a_p0_on_black_friday(black_friday: People) -> None:
    """R74, R77: authorised by the emergency contact, inside the blackout, reviewed within
    24 hours.
    """
    oncall = black_friday("oncall")
    number = oncall.post("/changes", fields("P0", requested_date=None), expect=201)["id"]
    oncall.post(f"/changes/{number}/submit")
    assert oncall.get(f"/gate/{number}")["allow"] is False
    black_friday("emergency-contact").decide(number, "emergency")
    assert oncall.get(f"/gate/{number}")["allow"] is True
    oncall.post(f"/changes/{number}/start")
    oncall.tick_off(number, "start", "during")
    oncall.post(f"/changes/{number}/finish")
    oncall.tick_off(number, "post")
    oncall.post(f"/changes/{number}/complete", {"reason": "Orders flow again."})
    oncall.call(
        "PUT", f"/changes/{number}/review", {"summary": "Pool exhausted.", "runbook_updated": True}
    )
    black_friday("cto").post(f"/changes/{number}/review/confirmation", {"p0_justified": True})
    oncall.call("PUT", f"/changes/{number}/documentation", {"requested_date": "2026-11-27"})
    black_friday("tech-lead").decide(number, "technical")
    black_friday("product-manager").decide(number, "business")
    assert oncall.get(f"/changes/{number}")["state"] == "closed"
    assert black_friday("manager").get("/reports/monthly/2026-11")["by_priority"]["P0"] >= 1


def test_a_p1_is_refused_in_the_freeze_with_the_right_next_start(black_friday: People) -> None:
    """R75, R76: Tuesday 1 December lies in the shopping season; next is 5 January 2027."""
    number = black_friday("engineer").post(
        "/changes", fields("P1", components=["cdn"], requested_date="2026-11-28"), expect=201
    )["id"]
    black_friday("engineer").post(f"/changes/{number}/submit")
    approve(black_friday, number)
    refusal = black_friday("devops").post(
        f"/changes/{number}/schedule", {"start": "2026-12-01T02:00Z"}, expect=409
    )
    assert refusal["reasons"][0]["next_allowed_at"] == "2027-01-05T02:00:00Z"
    assert "the holiday shopping season" in refusal["detail"]
