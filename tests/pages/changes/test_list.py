"""The list of changes: filters, search, keyset pages; the same set on page, API and export (issue 2
item 3, promise 6).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from audit.models import Event
from requests.models import ChangeRequest
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def numbers(desk: Desk, query: str = "") -> list[str]:
    return [item["id"] for item in desk.get(f"/changes{query}")["items"]]


@pytest.fixture
def some(desk: Sit, at: Any) -> dict[str, str]:
    """Four changes of two people on two days."""
    made = {}
    for name, instant, who, values in (
        (
            "draft",
            "2026-10-01T09:00Z",
            "engineer",
            {
                "priority": "P3",
                "risk": "low",
                "components": ["cdn"],
                "summary": "Cache pictures longer",
            },
        ),
        (
            "late",
            "2026-10-01T18:00Z",
            "engineer",
            {"priority": "P2", "components": ["search", "cdn"]},
        ),
        (
            "review",
            "2026-10-02T08:00Z",
            "engineer2",
            {"priority": "P1", "risk": "high", "strategy_reason": "One node alone"},
        ),
        (
            "gone",
            "2026-10-02T08:30Z",
            "engineer2",
            {"priority": "P2", "reason": "The synonyms of Danish shoes are wrong."},
        ),
    ):
        at(instant)
        made[name] = str(desk(who).create(**{"requested_date": "2026-10-05", **values})["id"])
    desk("engineer2").post(f"/changes/{made['review']}/submit")
    desk("engineer2").post(f"/changes/{made['gone']}/cancel", {"reason": "Not needed"})
    return made


@pytest.mark.parametrize(
    ("query", "expected"),
    [("", ["gone", "review", "late", "draft"]), ("?state=draft", ["late", "draft"]),
        ("?state=draft,cancelled", ["gone", "late", "draft"]),
        ("?state=open", ["review", "late", "draft"]),
     ("?priority=P1", ["review"]), ("?priority=P2,P3", ["gone", "late", "draft"]),
     ("?risk=high", ["review"]), ("?risk=low,high", ["review", "draft"]),
     ("?component=cdn", ["late", "draft"]),
     ("?component=search,cdn", ["gone", "review", "late", "draft"]),
     ("?requester=engineer", ["late", "draft"]), ("?mine=1", ["late", "draft"]),
     ("?sort=created", ["draft", "late", "review", "gone"]),
     ("?from=2026-10-02", ["gone", "review"]), ("?to=2026-10-01", ["late", "draft"]),
     ("?from=2026-10-01T12:00Z&to=2026-10-02T08:00Z", ["late"]),
     ("?from=2026-10-01T18:00:00Z", ["gone", "review", "late"]),
     ("?q=danish synonyms", ["gone"]), ("?q=pictures", ["draft"]), ("?q=nothing-like-it", []),
     ("?q=CR-2026-10-02", ["gone", "review"]), ("?q=cr-2026-10-01-001", ["draft"]),
     ("?state=draft&priority=P2", ["late"])],
)  # fmt: skip
def test_a_filter_finds_exactly_its_changes(
    desk: Sit, some: dict[str, str], query: str, expected: list[str]
) -> None:
    """Fields as filters; `from` and `to` are instants, or days, both included (contract)."""
    assert numbers(desk("engineer"), query) == [some[name] for name in expected]
    client = desk("engineer").client
    shown = re.findall(
        r'class="row-title" href="/changes/(CR-[\d-]+)/"',
        client.get(f"/changes/{query}").content.decode(),
    )
    assert shown == [some[name] for name in expected], "the page lists what the API lists"
    rows = (
        b"".join(client.get(f"/changes/export.csv{query}").streaming_content)
        .decode()
        .splitlines()[1:]
    )  # type: ignore[attr-defined]
    assert sorted(row.split(",")[0].strip('"') for row in rows) == sorted(
        some[name] for name in expected
    ), "and so does the export"


def test_needs_me_is_what_waits_in_my_queue(desk: Sit, some: dict[str, str]) -> None:
    """Issue 2 item 3: the reviewer's filter and the queue agree."""
    assert numbers(desk("tech-lead"), "?needs_me=1") == [some["review"]]
    assert [item["change"] for item in desk("tech-lead").get("/approvals")["items"]] == [
        some["review"]
    ]
    assert numbers(desk("engineer2"), "?needs_me=1") == []


@pytest.mark.parametrize("sort", ["", "created", "slot", "-ended"])
def test_pages_hold_each_change_once_whatever_the_order(desk: Sit, at: Any, sort: str) -> None:
    """Keyset pages: nothing twice, nothing missed, also while new changes come in and where the
    sort's value is absent.
    """
    at("2026-10-06T09:00Z")
    call_command("demo_data", "--changes", "60", "--months", "2", stdout=StringIO())
    everything = set(ChangeRequest.objects.values_list("number", flat=True))
    auditor, seen, cursor = desk("auditor"), list[str](), ""
    for _ in range(100):
        page = auditor.get(f"/changes?limit=7&sort={sort}&cursor={cursor}")
        seen += [item["id"] for item in page["items"]]
        if sort != "created":
            desk("engineer").create(requested_date="2026-10-07")
        cursor = page["next"]
        if not cursor:
            break
    assert len(seen) == len(set(seen))
    assert everything <= set(seen)


def test_an_export_is_recorded_and_harmless(desk: Sit, at: Any) -> None:
    """Promise 4, and no cell that a spreadsheet would run."""
    at("2026-10-01T09:00Z")
    desk("engineer").create(summary='=HYPERLINK("https://evil.example","x")')
    client = desk("engineer").client
    body = b"".join(client.get("/changes/export.csv?mine=1").streaming_content).decode()  # type: ignore[attr-defined]
    assert "\"'=HYPERLINK" in body
    assert Event.objects.filter(action="change.export", actor__username="engineer").count() == 1
