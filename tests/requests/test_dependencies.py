"""Dependencies are a plan, not a wish (A38)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier
from typing import Any

import pytest
from django.db import close_old_connections, connection

from notifications.models import Message
from requests.models import ChangeRequest
from tests.world import Desk

Sit = Callable[[str], Desk]
pytestmark = pytest.mark.django_db
SLOT, NEXT = "2026-10-06T02:00:00Z", "2026-10-08T02:00:00Z"
REMEDY = "Take it out of the dependencies, or name the change that takes its place."


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def needing(desk: Sit, *numbers: str, who: str = "engineer", **more: Any) -> str:
    return str(desk(who).create("P3", dependencies=list(numbers), **more)["id"])


def write(desk: Sit, number: str, *needed: str, expect: int = 200, who: str = "engineer") -> Any:
    version = desk(who).get(f"/changes/{number}")["version"]
    return desk(who).patch(
        f"/changes/{number}", {"version": version, "dependencies": list(needed)}, expect=expect
    )


def said(answer: Any) -> list[tuple[str, str]]:
    return [(error["field"], error["message"]) for error in answer["errors"]]


def test_a_change_never_needs_itself(desk: Sit) -> None:
    """A38: a ring of one."""
    one = needing(desk)
    found = said(write(desk, one, one, expect=422))
    assert found == [("dependencies", "Dependencies: it needs itself. Take one of them out.")]


@pytest.mark.parametrize("length", [2, 3, 5])
def test_a_ring_is_refused_when_it_is_written_and_named(desk: Sit, length: int) -> None:
    """A38, X26: drafts count; the step before the ring closes is allowed."""
    chain = [needing(desk)]
    for _ in range(length - 1):
        chain.append(needing(desk, chain[-1]))
    found = said(write(desk, chain[0], chain[-1], expect=422))
    way = [chain[0], *reversed(chain[1:]), chain[0]]
    ring = "; ".join(f"{one} needs {other}" for one, other in pairwise(way))
    assert found == [
        ("dependencies", f"Dependencies: it would need itself: {ring}. Take one of them out.")
    ]
    assert desk("engineer").get(f"/changes/{chain[0]}")["dependencies"] == []
    write(desk, chain[-1])
    write(desk, chain[0], chain[-1])


def test_what_two_need_is_no_ring(desk: Sit) -> None:
    """A38: a diamond is an order."""
    base = needing(desk)
    left, right = needing(desk, base), needing(desk, base)
    top = needing(desk, left, right)
    write(desk, top, left, right, base)


def test_a_ring_through_what_one_may_not_see_names_no_number(desk: Sit) -> None:
    """A38, promise 6."""
    one = needing(desk)
    hidden = needing(desk, one, who="tech-lead", confidential=True)
    top = needing(desk, who="tech-lead")
    write(desk, top, hidden, who="tech-lead")
    (found,) = said(write(desk, one, top, expect=422))
    assert hidden not in found[1]
    assert (
        f"{one} needs {top}; {top} needs a confidential change; a confidential change needs {one}"
        in found[1]
    )


def booked(desk: Sit, slot: str = SLOT, **more: Any) -> str:
    number = str(desk("engineer").submit("P3", requested_window={"start": slot}, **more)["id"])
    desk("senior-devops").decide(number, "technical")
    desk("devops").decide(number, "sign_off")
    assert desk("engineer").get(f"/changes/{number}")["slot"]["start"] == slot
    return number


def pair(desk: Sit) -> tuple[str, str]:
    """What is needed, booked on Tuesday, and who needs it, booked on Thursday."""
    first = booked(desk, components=["search"])
    return first, booked(desk, NEXT, components=["search"], dependencies=[first])


def told(person: str) -> list[str]:
    rows = Message.objects.filter(kind="needed_moved", recipient__username=person).order_by(
        "due_at"
    )
    return [row.body.rpartition("\n\n")[0] for row in rows]


def test_moving_a_change_behind_what_needs_it_is_a_conflict(desk: Sit) -> None:
    """A38, X27: dependency not completed before; the change manager may override it as any
    other.
    """
    first, second = pair(desk)
    answer = desk("engineer").post(
        f"/changes/{first}/schedule", {"start": "2026-10-13T02:00:00Z"}, expect=409
    )
    assert [reason["code"] for reason in answer["reasons"]] == ["dependency_order"]
    assert answer["reasons"][0]["message"].startswith(
        f"{second} needs this change completed before it"
    )
    assert desk("engineer").get(f"/changes/{first}")["slot"]["start"] == SLOT
    moved = {"start": "2026-10-13T02:00:00Z", "override_reason": "They know"}
    desk("change-manager").post(f"/changes/{first}/schedule", moved)


@pytest.mark.parametrize(
    ("start", "status"), [("2026-10-08T02:00:00Z", 409), ("2026-10-06T03:00:00Z", 200)]
)
def test_a_move_that_still_ends_before_is_none(desk: Sit, start: str, status: int) -> None:
    """A38: one minute of overlap is too many."""
    first, _ = pair(desk)
    desk("engineer").post(f"/changes/{first}/schedule", {"start": start}, expect=status)


def test_whoever_needs_a_cancelled_change_is_told_and_reads_what_unblocks_it(desk: Sit) -> None:
    """A38, X27."""
    first, second = pair(desk)
    desk("change-manager").post(f"/changes/{first}/cancel", {"reason": "No use"})
    (body,) = told("engineer")
    assert body.startswith(f"{second}, booked for Thu 8 Oct, 02:00 to 02:45 UTC, ")
    assert body.endswith(f"needs {first}, which was cancelled. {REMEDY}")
    answer = desk("engineer").post(
        f"/changes/{second}/schedule", {"start": "2026-10-13T02:00:00Z"}, expect=409
    )
    assert [reason["message"] for reason in answer["reasons"]] == [
        f"This change needs {first}, which was cancelled. {REMEDY}"
    ]


@pytest.mark.parametrize(("has_slot", "count"), [(True, 1), (False, 0)])
def test_an_edit_moves_others_only_where_a_slot_is_lost_by_it(
    desk: Sit, has_slot: bool, count: int
) -> None:
    """A38: content edited while it is booked, and while it is only in review."""
    first = (
        booked(desk, components=["search"])
        if has_slot
        else str(desk("engineer").submit("P3")["id"])
    )
    needing(desk, first, who="tech-lead")
    version = desk("engineer").get(f"/changes/{first}")["version"]
    desk("engineer").patch(f"/changes/{first}", {"version": version, "summary": "Another one"})
    assert [body.count("is approved anew") for body in told("tech-lead")] == [1] * count


def test_whoever_acts_is_not_told_of_it(desk: Sit) -> None:
    first, _ = pair(desk)
    desk("engineer").post(f"/changes/{first}/unschedule", {"reason": "Later"})
    assert told("engineer") == []


def test_one_message_a_person_and_a_quarter_of_an_hour(desk: Sit, at: Any) -> None:
    """A38: the first at once; what follows within 15 minutes goes as one, at its end."""
    first, second = pair(desk)
    third = booked(desk, "2026-10-08T03:00:00Z", components=["search"], dependencies=[first])
    manager = desk("change-manager")
    manager.post(f"/changes/{first}/unschedule", {"reason": "Later"})
    at("2026-10-01T09:05Z")
    manager.post(f"/changes/{first}/schedule", {"start": SLOT})
    at("2026-10-01T09:10Z")
    manager.post(f"/changes/{first}/cancel", {"reason": "No use"})
    rows = list(
        Message.objects.filter(kind="needed_moved", recipient__username="engineer").order_by(
            "due_at"
        )
    )
    assert [row.due_at.isoformat() for row in rows] == [
        "2026-10-01T09:00:00+00:00",
        "2026-10-01T09:15:00+00:00",
    ]
    assert (second in rows[0].body, third in rows[0].body) == (True, True)
    assert rows[0].body.count("lost its slot") == 2
    assert rows[1].body.count("was cancelled") == 2


@pytest.mark.django_db(transaction=True)
def test_two_who_write_the_halves_of_a_ring_at_once_do_not_both_succeed(desk: Sit) -> None:
    """A38: refused under a lock."""
    one, other = needing(desk), needing(desk)
    desks, barrier = {one: (desk("engineer"), other), other: (desk("engineer"), one)}, Barrier(2)

    def close_the_ring(number: str) -> int:
        sitting, needed = desks[number]
        try:
            barrier.wait()
            sitting.call("PATCH", f"/changes/{number}", {"version": 1, "dependencies": [needed]})
            return sitting.status
        finally:
            close_old_connections()
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(close_the_ring, [one, other])) == [200, 422]
    assert ChangeRequest.depends_on.through.objects.count() == 1
