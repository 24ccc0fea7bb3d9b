"""The figures: pure functions over values (A8, A9). Percentages and averages have one decimal, None
where there is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

PRIORITIES = ("P0", "P1", "P2", "P3")
OUTCOMES = {"successful": "completed", "rolled_back": "rolled_back", "failed": "failed"}
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)

DEFINITIONS = {
    "success_rate": (
        "Changes completed without a rollback, of all whose implementation ended in the period."
    ),
    "mttr": (
        "Average time from detected to resolved, of issues that a change caused, counted when"
        " resolved."
    ),
    "frequency": "Changes whose implementation ended, per ISO week (Monday 00:00 UTC) and month.",
    "lead_time": "Average time from first submission to start of implementation, in calendar days.",
    "implementation_time": (
        "Average time from start of implementation to the end of verification, or of the rollback."
    ),
}


@dataclass(frozen=True)
class Ended:
    """One change whose implementation ended in the period."""

    number: str
    priority: str
    outcome: str
    submitted_at: datetime | None
    started_at: datetime | None
    ended_at: datetime
    caused_issue: bool = False
    frozen: timedelta = timedelta(0)


@dataclass(frozen=True)
class Resolved:
    """One issue caused by a change, resolved in the period."""

    detected_at: datetime
    resolved_at: datetime
    priority: str


def one_decimal(value: Decimal | float) -> float:
    """Rounded half up, as people do."""
    return float(Decimal(str(value)).quantize(Decimal("0.1"), ROUND_HALF_UP))


def percent(part: int, total: int) -> float | None:
    """To one decimal, half up; None of nothing."""
    return one_decimal(Decimal(100 * part) / Decimal(total)) if total else None


def average(lengths: Iterable[timedelta], unit: timedelta) -> float | None:
    """The mean length in units, one decimal."""
    found = list(lengths)
    if not found:
        return None
    microseconds = sum(length // timedelta(microseconds=1) for length in found)
    return one_decimal(
        Decimal(microseconds) / Decimal(len(found)) / Decimal(unit // timedelta(microseconds=1))
    )


def share(part: int, total: int) -> dict[str, Any]:
    """A count and its percent of the total."""
    return {"count": part, "percent": percent(part, total)}


def lead_times(changes: Sequence[Ended]) -> list[timedelta]:
    """From submission to start, of those that have both (R119)."""
    return [c.started_at - c.submitted_at for c in changes if c.started_at and c.submitted_at]


def implementation_times(changes: Sequence[Ended]) -> list[timedelta]:
    """From start to end, of those that were started."""
    return [c.ended_at - c.started_at for c in changes if c.started_at]


def by_outcome(changes: Sequence[Ended]) -> dict[str, Any]:
    """The total, and count and percent of each outcome."""
    total = len(changes)
    parts = {name: sum(c.outcome == outcome for c in changes) for name, outcome in OUTCOMES.items()}
    return {"total": total} | {name: share(part, total) for name, part in parts.items()}


def clocks(changes: Sequence[Ended], resolved: Sequence[Resolved]) -> dict[str, float | None]:
    """The averages of A9: lead time and how much of it lay in a freeze, implementation
    time, MTTR.
    """
    return {
        "average_lead_time_days": average(lead_times(changes), DAY),
        "average_lead_time_in_freeze_days": average(
            (c.frozen for c in changes if c.started_at and c.submitted_at), DAY
        ),
        "average_implementation_minutes": average(implementation_times(changes), MINUTE),
        "mttr_minutes": average(
            (issue.resolved_at - issue.detected_at for issue in resolved), MINUTE
        ),
    }


def figures(changes: Sequence[Ended], resolved: Sequence[Resolved]) -> dict[str, Any]:
    """Summary, categories and performance of a period (R123-R133); the figures of emergencies once
    more by themselves (A9).
    """
    by_priority = {
        priority: sum(c.priority == priority for c in changes) for priority in PRIORITIES
    }
    urgent, urgently = (
        [c for c in changes if c.priority == "P0"],
        [issue for issue in resolved if issue.priority == "P0"],
    )
    return {
        **by_outcome(changes),
        "caused_issue": sum(c.caused_issue for c in changes if c.outcome == OUTCOMES["successful"]),
        "emergency": by_priority["P0"],
        "by_priority": by_priority,
        **clocks(changes, resolved),
        "emergencies": by_outcome(urgent) | clocks(urgent, urgently),
    }


def month_span(month: date) -> tuple[datetime, datetime]:
    """`[first, next first)`, in UTC."""
    first = datetime(month.year, month.month, 1, tzinfo=UTC)
    following = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
    return first, following


def month_of(at: datetime) -> date:
    """The first day of the instant's month, in UTC."""
    return at.astimezone(UTC).date().replace(day=1)


def previous_month(month: date) -> date:
    """The first day of the month before."""
    return date(month.year - (month.month == 1), (month.month - 2) % 12 + 1, 1)


def next_month(month: date) -> date:
    """The first day of the month after."""
    return month_span(month)[1].date()
