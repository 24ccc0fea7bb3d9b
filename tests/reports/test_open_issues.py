"""Every month at whose end an issue was open counts it, however late it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from changemgmt.tick import tick
from tests.reports import month, pages
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


def test_an_issue_told_late_concerns_every_month_at_whose_end_it_was_open(
    desk: Sit,
    at: Any,
) -> None:
    """A9, A31, promise 7: detected on 25 August, told on 10 November, and still open.

    August, September and October were issued without it; each now says that one was open.
    """
    number = month.failed_emergency(desk, at, "2026-08-20T10:00Z", "2026-08-20T11:00Z")
    at("2026-11-10T09:00Z")
    tick()
    month.issue(desk, number, "P2", "Totals are wrong", detected_at="2026-08-25T00:00Z")
    tick()
    said, listed = {}, {}
    for period in ("2026-08", "2026-09", "2026-10"):
        told = desk("auditor").get(f"/reports/monthly/{period}.json")
        said[period] = (told["version"], told["open_issues"]["count"])
        behind = pages.numbers_behind(desk("auditor"), f"/reports/{period}/open_issues/")
        listed[period] = len(behind)
    assert listed == {"2026-08": 1, "2026-09": 1, "2026-10": 1}
    assert said == {"2026-08": (2, 1), "2026-09": (2, 1), "2026-10": (2, 1)}
