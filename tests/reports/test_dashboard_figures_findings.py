"""Findings: numbers of the dashboard and of the month's page that do not open what they count."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.reports import month, pages
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


@pytest.fixture
def now(autumn: None, at: Any) -> None:
    at("2026-10-31T12:00Z")


def test_the_recovery_of_emergencies_opens_the_issues_that_it_averages(
    now: None,
    desk: Sit,
) -> None:
    """R119, R133, A9: 20.0 minutes are those of A's issue; A ended in September."""
    auditor = desk("auditor")
    page = pages.read(auditor, "/reports/2026-10/")
    apart = next(s for s in page.all("section") if s.attributes["aria-labelledby"] == "p0")
    line = next(div for div in apart.all("div") if div.text == "MTTR 20.0 min")
    assert pages.numbers_behind(auditor, line.links[0]) == [f"{month.A} #1"]


def test_the_number_of_a_week_opens_the_changes_of_that_week(now: None, desk: Sit) -> None:
    """R120: "Every number opens the changes behind it"; the week of 28 September has three."""
    auditor = desk("auditor")
    page = pages.read(auditor, "/reports/")
    rows = [row for row in page.all("tr") if re.search(r"\b28 Sep\b", row.text)]
    assert rows, "the weeks have a table beside their chart"
    links = [link for row in rows for link in row.all("a") if link.text == "3"]
    assert links
    for link in links:
        found = pages.numbers_behind(auditor, link.attributes["href"])
        assert sorted(found) == [month.B, month.C, month.D]
