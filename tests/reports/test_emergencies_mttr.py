"""The emergencies' MTTR opens the issues that it averages."""

from __future__ import annotations

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
