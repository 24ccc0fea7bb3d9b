"""Twelve months at a glance: one aggregate per figure, whatever the months hold (R118-R121)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Q
from django.db.models.functions import TruncMonth, TruncWeek

from reports import lists, metrics
from reports.lists import ended_between

MONTHS = 12


def months_until(month: date, count: int = MONTHS) -> list[date]:
    """So many months up to this one, the oldest first."""
    found = [month]
    while len(found) < count:
        found.append(metrics.previous_month(found[-1]))
    return found[::-1]


def _mttr(start: datetime, end: datetime) -> dict[date, timedelta]:
    """How long the issues resolved in each month took."""
    took = ExpressionWrapper(F("resolved_at") - F("detected_at"), output_field=DurationField())
    resolved = lists.resolved_between(start, end).annotate(month=TruncMonth("resolved_at"))
    found = resolved.values("month").annotate(mttr=Avg(took)).order_by("month")
    return {row["month"].date(): row["mttr"] for row in found}


def by_month(last: date, count: int = MONTHS) -> list[dict[str, Any]]:
    """Per month: counts by outcome and priority, average lead and implementation time, MTTR. Two
    queries.
    """
    months = months_until(last, count)
    start, end = metrics.month_span(months[0])[0], metrics.month_span(last)[1]
    lead = ExpressionWrapper(F("started_at") - F("submitted_at"), output_field=DurationField())
    took = ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())
    rows: dict[date, dict[str, Any]] = {
        row["month"].date(): dict(row)
        for row in (
            ended_between(start, end)
            .annotate(month=TruncMonth("ended_at"))
            .values("month")
            .annotate(
                total=Count("id"),
                completed=Count("id", filter=Q(outcome="completed")),
                rolled_back=Count("id", filter=Q(outcome="rolled_back")),
                failed=Count("id", filter=Q(outcome="failed")),
                lead=Avg(lead),
                took=Avg(took),
                **{name: Count("id", filter=Q(priority=name)) for name in metrics.PRIORITIES},
            )
            .order_by("month")
        )
    }
    mttr = _mttr(start, end)
    return [_month_row(month, rows.get(month, {}), mttr.get(month)) for month in months]


def _month_row(month: date, row: dict[str, Any], mttr: timedelta | None) -> dict[str, Any]:
    total = row.get("total", 0)
    return {
        "month": month,
        "key": f"{month:%Y-%m}",
        "total": total,
        "completed": row.get("completed", 0),
        "rolled_back": row.get("rolled_back", 0),
        "failed": row.get("failed", 0),
        "success_rate": metrics.percent(row.get("completed", 0), total),
        "lead_days": _average(row.get("lead"), metrics.DAY),
        "minutes": _average(row.get("took"), metrics.MINUTE),
        "mttr": _average(mttr, metrics.MINUTE),
        "by_priority": {priority: row.get(priority, 0) for priority in metrics.PRIORITIES},
    }


def _average(value: timedelta | None, unit: timedelta) -> float | None:
    return metrics.average([value], unit) if value is not None else None


def by_week(until: datetime, count: int = 12) -> list[dict[str, Any]]:
    """Changes per ISO week (Monday 00:00 UTC) and priority, the last `count` weeks (R120)."""
    monday = (until - timedelta(days=until.weekday())).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    weeks = [monday - timedelta(weeks=index) for index in range(count - 1, -1, -1)]
    rows: dict[tuple[date, str], int] = {
        (row["week"].date(), row["priority"]): row["n"]
        for row in (
            ended_between(weeks[0], monday + timedelta(weeks=1))
            .annotate(week=TruncWeek("ended_at"))
            .values("week", "priority")
            .annotate(n=Count("id"))
            .order_by("week")
        )
    }
    return [
        {
            "week": week.date(),
            "counts": {p: rows.get((week.date(), p), 0) for p in metrics.PRIORITIES},
        }
        for week in weeks
    ]
