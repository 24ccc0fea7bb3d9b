"""The dashboard and the monthly report."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.roles import Role
from implementation.models import Issue
from language.refusal import Missing, Reason
from language.say import say_day
from reports import api, charts, formats, lists, metrics, process_exceptions, reporting
from reports import dashboard as figures
from reports.models import MonthlyReport
from requests import listing
from requests.models import ChangeRequest
from web.http import Request, key_of

SHOWN = 50
TOLD = 20  # issues, improvements and lessons shown on the page; all are in the files


@require_safe
def dashboard(request: Request) -> HttpResponse:
    """The four key metrics with their definitions, twelve months back; every number opens its list
    (R118-R121).
    """
    now = timezone.now()
    month = now.date().replace(day=1)
    months = figures.by_month(month)
    weeks = figures.by_week(now)
    this, before = months[-1], months[-2]
    names = [f"{m['month']:%b}" for m in months]

    def by_name(figure: str) -> charts.Rows:
        return list(zip(names, [m[figure] for m in months], strict=True))

    drawn = {
        "success": charts.rate_chart(by_name("success_rate")),
        "lead": charts.line_chart(by_name("lead_days")),
        "mttr": charts.line_chart(by_name("mttr")),
        "weeks": charts.bar_chart([(say_day(w["week"])[4:], w["counts"]) for w in weeks]),
    }
    context = {
        "months": months[::-1],
        "weeks": weeks[::-1],
        "this": this,
        "before": before,
        "charts": drawn,
        "definitions": metrics.DEFINITIONS,
        "per_week": sum(sum(w["counts"].values()) for w in weeks) / len(weeks),
    }
    return render(request, "reports/dashboard.html", context)


def _exceptions(counts: dict[str, int]) -> dict[str, Any]:
    """The kinds of process exception that there were, and how many kinds there were not."""
    counted = [(name, label, counts[name]) for name, label in process_exceptions.EXCEPTIONS.items()]
    happened = [row for row in counted if row[2]]
    return {"exceptions": happened, "quiet": len(counted) - len(happened)}


@require_safe
def monthly(request: Request, period: str) -> HttpResponse:
    """The month's report in the document's form; each number opens the list behind it."""
    month, suffix = api.parse(period)
    if suffix != "json" or period.endswith(".json"):
        return redirect(f"/api/v1/reports/monthly/{period}")
    report = reporting.report_for(month, _version(request))
    shown = formats.visible(report, request.user)
    changes = (
        ChangeRequest.objects.visible_to(request.user)
        .filter(number__in=shown["changes"])
        .order_by("-ended_at", "-id")[:SHOWN]
    )
    following = metrics.next_month(month)
    context = {
        "report": shown,
        "month": month,
        "key": f"{month:%Y-%m}",
        "previous": metrics.previous_month(month),
        "next_month": following,
        "following": following if following <= reporting.today() else None,
        "changes": changes,
        "total_shown": len(shown["changes"]),
        **_exceptions(report["exceptions"]),
        "told": {
            name: (shown[name][:TOLD], len(shown[name]) - TOLD)
            for name in ("issues", "improvements", "lessons")
        },
        "versions": list(MonthlyReport.objects.filter(month=month).order_by("-version")),
        "moved": _moved(shown),
        "may_issue": (
            request.user.has_role(Role.CHANGE_MANAGER)
            and report["status"] != "issued"
            and following <= reporting.today()
        ),
    }
    return render(request, "reports/monthly.html", context)


@require_safe
def line(request: Request, period: str, name: str) -> HttpResponse:
    """The list behind one number of a month's report: changes, or issues where it counts those."""
    month, suffix = api.parse(period)
    if suffix != "json" or name not in (lists.CHANGES | lists.ISSUES):
        raise Missing(
            [
                Reason(
                    "missing",
                    "The report has no such line; open the month's report and choose a number.",
                )
            ]
        )
    start, end = metrics.month_span(month)
    query = listing.read({"cursor": request.GET.get("cursor"), "sort": "-ended"})
    found: QuerySet[Any]
    visible: Any
    context: dict[str, Any] = {
        "month": month,
        "key": f"{month:%Y-%m}",
        "page": None,
        "issues": None,
    }
    if name in lists.CHANGES:
        found = lists.CHANGES[name].find(start, end)
        visible = ChangeRequest.objects.visible_to(request.user).filter(pk__in=found.values("pk"))
        context |= {"line": lists.CHANGES[name], "page": listing.page(query, visible.for_rows())}
    else:
        found = lists.ISSUES[name].find(start, end)
        visible = found.filter(change__in=ChangeRequest.objects.visible_to(request.user))
        context |= {"line": lists.ISSUES[name], "issues": _issue_page(query, visible)}
    counted = found.count()
    context |= {"counted": counted, "hidden": counted - visible.count()}
    return render(request, "reports/behind.html", context)


def _issue_page(query: listing.Query, found: QuerySet[Issue]) -> listing.Page[Issue]:
    """Newest first, by key."""
    after = listing.decode_cursor(query.cursor)[1] if query.cursor else None
    rows = list(
        (found.filter(pk__lt=after) if after else found)
        .select_related("change")
        .order_by("-pk")[: query.limit + 1]
    )
    more, rows = len(rows) > query.limit, rows[: query.limit]
    return listing.Page(rows, listing.encode_cursor(None, rows[-1].pk) if more else None)


def _version(request: Request) -> int | None:
    """The version that the address asks for. Raises Missing for what is none."""
    text = request.GET.get("version", "")
    if not text:
        return None
    if not (version := key_of(text)):
        raise Missing([Reason("missing", f"There is no version {text[:20]!r} of this report.")])
    return version


def _moved(report: dict[str, Any]) -> list[dict[str, Any]]:
    """What this version moved against the one before it, each line in words."""
    return [
        {
            **line,
            "label": _label(line["line"]),
            "was": _said(line["from"]),
            "now": _said(line["to"]),
        }
        for line in report["moved"]
    ]


def _label(name: str) -> str:
    if name.startswith("exceptions."):
        return process_exceptions.EXCEPTIONS.get(name.removeprefix("exceptions."), name)
    words = (
        name.replace(".count", "")
        .replace(".percent", ", %")
        .replace("by_priority.", "")
        .replace("_", " ")
        .replace(".", ", ")
    )
    return words[:1].upper() + words[1:]


def _said(value: Any) -> str:
    """A figure, or the items of a list, as a line of text."""
    if value is None:
        return "–"
    if isinstance(value, list):
        return (
            "; ".join(
                str(item.get("summary", item)) if isinstance(item, dict) else str(item)
                for item in value
            )
            or "none"
        )
    return str(value)


@require_POST
def issue(request: Request, period: str) -> HttpResponse:
    """The change manager issues the report before the third."""
    month, suffix = api.parse(period)
    if suffix != "json":
        raise Missing([Reason("missing", "There is no such report.")])
    made = reporting.issue(actor=request.user, month=month)
    messages.success(
        request,
        (
            f"Issued as version {made.version}."
            if made
            else "It is issued already, and nothing has changed since."
        ),
    )
    return redirect("reports:monthly", period=period)
