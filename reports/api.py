"""The monthly report over the API."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from django.http import HttpResponse
from ninja import Router

from audit import trail
from language.refusal import Missing, Reason
from reports import formats, reporting
from web.http import Request

router = Router(tags=["Reports"])


@router.get("/reports/monthly/{period}", operation_id="get_monthly_report")
def monthly(request: Request, period: str, version: int | None = None) -> Any:
    """`YYYY-MM`, with suffix .json (default), .csv or .md. A begun month without a stored report is
    computed (preliminary, version 0).

    `version`: that one; 404 for one that never was.
    """
    month, suffix = parse(period)
    report = formats.visible(reporting.report_for(month, version), request.user)
    if suffix != "json":
        trail.record(
            "report.export", actor=request.user, data={"month": f"{month:%Y-%m}", "format": suffix}
        )
    if suffix == "csv":
        return HttpResponse(
            formats.BYTE_ORDER_MARK + formats.as_csv(report), content_type="text/csv; charset=utf-8"
        )
    if suffix == "md":
        return HttpResponse(
            formats.as_markdown(report), content_type="text/markdown; charset=utf-8"
        )
    return report


def parse(period: str) -> tuple[date, str]:
    """The month's first day and the suffix; Missing for what is no month that has begun."""
    found = re.fullmatch(r"(20[0-9]{2})-(0[1-9]|1[0-2])(?:\.(json|csv|md))?", period)
    month = date(int(found[1]), int(found[2]), 1) if found else None
    if found is None or month is None or month > reporting.today():
        raise Missing(
            [
                Reason(
                    "missing",
                    f"There is no report {period[:20]!r}; ask for a month that has begun, like"
                    " 2026-10.json.",
                )
            ]
        )
    return month, found[3] or "json"
