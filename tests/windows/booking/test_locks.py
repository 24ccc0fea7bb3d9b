"""Whoever books or starts by the calendar, and whoever edits it, come one after the other: real
threads, real transactions.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from audit import trail
from notifications.models import Message
from requests import lifecycle
from requests.models import ChangeRequest
from tests.windows.rules.test_rules import booked, freeze, save
from tests.world import Desk

pytestmark = pytest.mark.django_db(transaction=True)
Sit = Callable[[str], Desk]
Act = Callable[[], Any]


class Held:
    """Wraps a function: after one of its calls, the caller's transaction stays open until it is let
    go.
    """

    def __init__(self, wrapped: Callable[..., Any], chosen: Callable[..., bool]) -> None:
        self.wrapped, self.chosen = wrapped, chosen
        self.reached, self.go = threading.Event(), threading.Event()

    def __call__(self, *words: Any, **more: Any) -> Any:
        found = self.wrapped(*words, **more)
        if self.chosen(*words):
            self.reached.set()
            assert self.go.wait(20)
        return found


def second_waits_for_first(held: Held, first: Act, second: Act) -> None:
    """The first does its work and does not commit; the second has to wait for it, and then both are
    done.
    """
    failed: list[BaseException] = []

    def run(act: Act) -> None:
        try:
            act()
        except BaseException as problem:
            failed.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in (first, second)]
    threads[0].start()
    assert held.reached.wait(20)
    threads[1].start()
    waited = False
    while threads[1].is_alive() and not (waited := _somebody_waits()):
        threads[1].join(0.05)
    held.go.set()
    for thread in threads:
        thread.join(20)
    assert not failed, failed
    assert waited, "the second did not wait for the first"


def _somebody_waits() -> bool:
    """Whether an advisory lock of this database is asked for and not had."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = database"
            " WHERE locktype = 'advisory' AND NOT granted AND datname = current_database())"
        )
        return bool(cursor.fetchone()[0])


@pytest.fixture
def slot(desk: Sit, at: Any) -> tuple[str, Act, Act]:
    """An approved change, and what books it and what freezes its slot."""
    at("2026-10-01T09:00Z")
    number = booked(desk)
    desk("devops").post(f"/changes/{number}/unschedule", {"reason": "Another day"})
    edit = freeze("the audit", "2026-10-06T00:00Z", "2026-10-07T00:00Z")
    booker, manager = desk("devops"), desk("change-manager")
    return (
        number,
        lambda: booker.post(
            f"/changes/{number}/schedule", {"start": "2026-10-06T02:00Z"}, expect=None
        ),
        lambda: save(lambda _: manager, edit),
    )


def test_an_edit_waits_for_a_booking_and_then_displaces_it(
    slot: Any, desk: Sit, monkeypatch: Any
) -> None:
    """Promise 2: a booking that looked at the calendar before the edit is seen by the edit."""
    number, book, edit = slot
    held = Held(lifecycle.perform, lambda change, name: name == "schedule")
    monkeypatch.setattr(lifecycle, "perform", held)
    second_waits_for_first(held, book, edit)
    assert desk("devops").status == 200
    change = ChangeRequest.objects.get(number=number)
    assert (change.state, change.slot_start) == ("approved", None)


def test_a_booking_waits_for_an_edit_and_obeys_it(slot: Any, desk: Sit, monkeypatch: Any) -> None:
    """Promise 2: a booking that comes while the calendar is edited is judged by the new one."""
    number, book, edit = slot
    held = Held(trail.record, lambda action: action == "calendar.add")
    monkeypatch.setattr(trail, "record", held)
    second_waits_for_first(held, edit, book)
    assert desk("devops").status == 409
    assert ChangeRequest.objects.get(number=number).state == "approved"


@pytest.fixture
def run(desk: Sit, at: Any) -> tuple[str, Act, Act]:
    """A change that may start, and what starts it and what locks everything."""
    at("2026-10-01T09:00Z")
    number = booked(desk)
    desk("devops").tick_off(number, "pre")
    at("2026-10-06T02:05Z")
    starter, manager = desk("devops"), desk("change-manager")
    return (
        number,
        lambda: starter.post(f"/changes/{number}/start", expect=None),
        lambda: manager.post("/calendar/lockdowns", {"reason": "Something is wrong"}, expect=201),
    )


def test_a_lockdown_waits_for_a_start(run: Any, desk: Sit, monkeypatch: Any) -> None:
    """Item 5: what started before it is among what it tells."""
    number, start, stop = run
    held = Held(lifecycle.perform, lambda change, name: name == "start")
    monkeypatch.setattr(lifecycle, "perform", held)
    second_waits_for_first(held, start, stop)
    assert (desk("devops").status, ChangeRequest.objects.get(number=number).state) == (
        200,
        "implementing",
    )
    assert Message.objects.filter(kind="lockdown", recipient__username="devops").exists(), (
        "who implements it reads that it is stopped"
    )


def test_a_start_waits_for_a_lockdown_and_obeys_it(run: Any, desk: Sit, monkeypatch: Any) -> None:
    """Promise 2, item 5: nothing starts under it."""
    number, start, stop = run
    held = Held(trail.record, lambda action: action == "calendar.lockdown")
    monkeypatch.setattr(trail, "record", held)
    second_waits_for_first(held, stop, start)
    assert (desk("devops").status, ChangeRequest.objects.get(number=number).state) == (
        409,
        "scheduled",
    )
