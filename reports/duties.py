"""What the clock owes to reports."""

from __future__ import annotations

from collections.abc import Callable

from reports import following


def monthly_reports() -> int:
    """Made on the first of the month, issued on the third, for every month that has passed
    (A31).
    """
    return following.make_what_is_due()


#: Name → what is done; each returns how often it did something.
DUTIES: dict[str, Callable[[], int]] = {
    "monthly_reports": monthly_reports,
}
