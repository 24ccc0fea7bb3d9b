"""The list of changes, and its export."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from approvals.people import who_decides
from approvals.rounds import rounds
from audit import trail
from language.refusal import Invalid
from language.say import iso, say_length
from reports.formats import BYTE_ORDER_MARK, safe_cell
from requests import listing
from requests.models import ChangeRequest
from requests.states import State
from web.http import Request

COUNTED = 1000
VIEWS: tuple[tuple[str, dict[str, str]], ...] = (
    ("All open", {"state": "open"}),
    ("Mine", {"mine": "1"}),
    ("Watched", {"watching": "1"}),
    ("Waiting for me", {"needs_me": "1"}),
    ("Scheduled", {"state": "scheduled", "sort": "slot"}),
    ("Running", {"state": "implementing,verifying,rolling_back"}),
    ("Everything", {}),
)


def _found(request: Request) -> tuple[listing.Query, Any]:
    query = listing.read_address(request.GET)
    found = listing.changes(query, request.user)
    if query.needs_me:
        found = found.filter(pk__in=who_decides.waiting_for(request.user).values("change"))
    return query, found


@require_safe
def index(request: Request) -> HttpResponse:
    """The list: filters in the address, keyset pages, a count that says “1,000+” rather than being
    slow.
    """
    query, found = _found(request)
    page = listing.page(query, found.for_rows())
    counted = None
    if not query.cursor:
        counted = found.order_by()[: COUNTED + 1].count()
    current = {key: value for key, value in request.GET.items() if key not in ("cursor", "limit")}
    context = {
        "page": page,
        "rows": _with_next_step(page.items),
        "query": query,
        "counted": counted,
        "is_many": counted is not None and counted > COUNTED,
        "hidden": listing.hidden(query, request.user),
        "views": VIEWS,
        "current": current,
        "states": State.choices,
        "priorities": ChangeRequest.Priority.choices,
        "risks": ChangeRequest.Risk.choices,
        "filters": [
            name
            for name in (
                "q",
                "state",
                "priority",
                "risk",
                "component",
                "requester",
                "outcome",
                "ended",
                "from",
                "to",
            )
            if request.GET.get(name)
        ],
    }
    return render(request, "changes/index.html", context)


def _with_next_step(changes: list[ChangeRequest]) -> list[tuple[ChangeRequest, str]]:
    """Each change with the one thing that comes next for it, in two or three words."""
    now, given = timezone.now(), rounds.verdicts_given(changes)
    words = {
        State.DRAFT: "Submit",
        State.CHANGES_REQUESTED: "Answer",
        State.APPROVED: "Book a slot",
        State.IMPLEMENTING: "Finish",
        State.VERIFYING: "Complete",
        State.ROLLING_BACK: "Finish the rollback",
        State.COMPLETED: "Review owed",
        State.ROLLED_BACK: "Review owed",
        State.FAILED: "Review owed",
    }

    def word(change: ChangeRequest) -> str:
        if change.is_emergency and change.state in (State.IN_REVIEW, State.APPROVED):
            return "Authorise" if change.state == State.IN_REVIEW else "Start"
        if change.state == State.IN_REVIEW and change.pk in given:
            settled, of = given[change.pk]
            return f"{settled} of {of} verdicts"
        if change.state == State.SCHEDULED and change.slot_start:
            return (
                f"Starts in {say_length(change.slot_start - now)}"
                if change.slot_start > now
                else "Start"
            )
        return words.get(State(change.state), "")

    return [(change, word(change)) for change in changes]


class _Echo:
    def write(self, value: str) -> str:
        return value


@require_safe
def export(request: Request) -> StreamingHttpResponse:
    """What the list shows, all pages, as CSV; recorded in the trail."""
    query, found = _found(request)
    if query.wrong:
        raise Invalid(fields=query.wrong)  # a file says nothing of a filter that was left out
    trail.record("change.export", actor=request.user, data={"query": request.GET.dict()})
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    columns = (
        "number",
        "state",
        "outcome",
        "priority",
        "risk",
        "summary",
        "requester",
        "created_at",
        "submitted_at",
        "slot_start",
        "started_at",
        "ended_at",
    )

    def _cell(value: Any) -> Any:
        return iso(value) if isinstance(value, datetime) else value

    def rows() -> Iterator[str]:
        yield BYTE_ORDER_MARK + writer.writerow(columns)
        for change in (
            found.select_related("requester")
            .order_by("-created_at", "-id")
            .iterator(chunk_size=1000)
        ):
            yield writer.writerow([safe_cell(_cell(getattr(change, name))) for name in columns])

    return StreamingHttpResponse(
        rows(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="changes.csv"'},
    )


# --- components -----------------------------------------------------------------------------------
