"""CR-YYYY-MM-DD-XXX (R14, A14)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.models import User
from requests import changes
from requests.models import ChangeRequest, DayCounter


@pytest.mark.django_db(transaction=True)
def test_32_parallel_creates_get_32_numbers() -> None:
    """R14: no duplicate, no gap, under real concurrency."""
    actor = User.objects.get(username="engineer")

    def create(index: int) -> str:
        try:
            return changes.create(actor=actor, values={"summary": f"Change {index}"}).number
        finally:
            connection.close()

    with ThreadPoolExecutor(32) as pool:
        numbers = list(pool.map(create, range(96)))
    today = numbers[0][:14]
    assert sorted(numbers) == [f"{today}{n:03d}" for n in range(1, 97)]


@pytest.mark.django_db
def test_the_sequence_grows_past_999_and_begins_anew_each_day() -> None:
    DayCounter.objects.create(day=date(2026, 1, 15), last=998)
    assert [changes.next_number(date(2026, 1, 15)) for _ in range(3)] == [
        "CR-2026-01-15-999",
        "CR-2026-01-15-1000",
        "CR-2026-01-15-1001",
    ]
    assert changes.next_number(date(2026, 1, 16)) == "CR-2026-01-16-001"


@pytest.mark.django_db
def test_a_refused_create_uses_no_number() -> None:
    actor = User.objects.get(username="engineer")
    first = changes.create(actor=actor, values={"summary": "One"})
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        changes.create(actor=actor, values={"summary": "Two"})
        raise ZeroDivisionError
    again = changes.create(actor=actor, values={"summary": "Three"})
    assert int(again.number[-3:]) == int(first.number[-3:]) + 1
    assert ChangeRequest.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize("sort", ["-created", "created", "slot", "-ended"])
def test_sorting_shows_every_change_once_page_by_page(desk: Any, at: Any, sort: str) -> None:
    """F40: a sort orders, it never filters; changes without a slot or an end follow after the
    others.
    """
    at("2026-10-01T09:00Z")
    made = [desk("engineer").create("P2", summary=f"Number {n}")["id"] for n in range(4)]
    for start, component in (("2026-10-06T02:00Z", "cdn"), ("2026-10-08T02:00Z", "monitoring")):
        number = desk("engineer").submit(
            "P3", components=[component], requested_window={"start": start}
        )["id"]
        desk("senior-devops").decide(number, "technical")
        desk("devops").decide(number, "sign_off")
        made.append(number)
    found, cursor = [], ""
    while cursor is not None:
        page = desk("engineer").get(f"/changes?sort={sort}&limit=2&cursor={cursor}")
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]
    assert sorted(found) == sorted(made)
    if sort == "slot":
        assert found[:2] == made[4:]
