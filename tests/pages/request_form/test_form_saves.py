"""A form that saves itself while its sender presses the button (a draft's own saves never stand in
each other's way).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from tests.world import Desk

Sit = Callable[[str], Desk]


@pytest.mark.django_db(transaction=True)
def test_a_save_that_is_under_way_does_not_refuse_the_next(desk: Sit) -> None:
    """Eight saves of one draft at once, six times over: none is told that somebody else has edited
    it.
    """
    engineer = desk("engineer")
    number = engineer.create("P3", requested_date=None)["id"]
    answers: list[tuple[int, str]] = []
    for turn in range(6):
        barrier = Barrier(8)

        def save(n: int, turn: int = turn, barrier: Barrier = barrier) -> None:
            client = Client()
            client.force_login(engineer.user)
            barrier.wait()
            try:
                form = {"number": number, "summary": f"Summary {turn} {n}", "intent": "save"}
                answer = client.post("/changes/new", form)
                answers.append((answer.status_code, answer.headers.get("Location", "")))
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(save, range(8)))
    assert set(answers) == {(302, f"/changes/{number}/")}


@pytest.mark.django_db
def test_the_form_says_what_submitting_has_done(desk: Sit, at: Any) -> None:
    """X8: submitted, and who has been told; never the words of what was recorded afterwards."""
    at("2026-10-01T09:00Z")
    made = desk("engineer").create("P2")
    client = desk("engineer").client
    page = client.post(
        f"/changes/{made['id']}/edit",
        {"version": "1", "intent": "submit", "summary": "Search: refresh it sooner"},
        follow=True,
    )
    html = page.content.decode()
    assert f"{made['id']} is submitted." in html
    assert "is recorded" not in html
