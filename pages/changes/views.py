"""The list of changes and the catalogue of components."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.roles import label
from approvals.people import who_decides
from approvals.rounds import rounds
from audit import trail
from language.refusal import Invalid
from language.say import iso, say_length
from proposals.models import Proposal
from reports.formats import BYTE_ORDER_MARK, safe_cell
from requests import components as catalogue
from requests import listing
from requests.models import ChangeRequest, Component
from requests.states import State
from web.http import Fields, Request

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


@require_safe
def components(request: Request) -> HttpResponse:
    after = request.GET.get("after", "")[:60]
    found = list(
        Component.objects.filter(slug__gt=after)
        .select_related("owner")
        .prefetch_related("depends_on")
        .order_by("slug")[:101]
    )
    context = {
        "components": found[:100],
        "more": len(found) > 100,
        "may_manage": catalogue.may_manage(request.user),
    }
    return render(request, "changes/components.html", context)


def _save_component(
    request: Request, found: Component | None, values: dict[str, Any]
) -> Proposal | None:
    if found:
        return catalogue.edit(
            actor=request.user,
            component=found,
            values=values,
            reason=request.POST.get("reason", ""),
        )
    catalogue.save(actor=request.user, component=None, values=values)
    return None


def component(request: Request, slug: str = "") -> HttpResponse:
    """Make or edit a component."""
    found = get_object_or_404(Component, slug=slug) if slug else None
    values: dict[str, Any] = {"security_review": False, "retired": False}
    if found:
        values = {
            "slug": found.slug,
            "name": found.name,
            "team": found.team,
            "owner": found.owner.username if found.owner else "",
            "depends_on": ", ".join(found.depends_on.values_list("slug", flat=True)),
            "security_review": found.security_review,
            "retired": found.retired_at is not None,
        }
        values |= {
            f"usual_{role}": username
            for role, username in found.usual.values_list("role", "user__username")
        }
    errors: dict[str, str] = {}
    if request.method == "POST":
        values = {
            name: request.POST.get(name, "").strip()
            for name in ("slug", "name", "team", "owner", "depends_on")
        }
        values |= {name: name in request.POST for name in ("security_review", "retired")}
        values |= {
            f"usual_{role}": request.POST.get(f"usual_{role}", "").strip()
            for role in catalogue.REVIEWING
        }
        usual = {role: values[f"usual_{role}"] for role in catalogue.REVIEWING}
        plain = {name: value for name, value in values.items() if not name.startswith("usual_")}
        needs = [item.strip() for item in values["depends_on"].split(",") if item.strip()]
        if not found or (request.POST.get("was_retired") == "yes") == values["retired"]:
            plain.pop(
                "retired"
            )  # what this page did not change is not put back to how it was when it was opened
        try:
            proposal = _save_component(
                request, found, {**plain, "depends_on": needs, "usual": usual}
            )
        except Invalid as refused:
            errors = refused.fields
            values["reason"] = request.POST.get("reason", "")
        else:
            waits = (
                f" What it would widen waits for a second person: {proposal.widens[0]}"
                if proposal
                else ""
            )
            messages.success(request, f"{values['name']} is saved.{waits}")
            return redirect("requests:components")
    usual_roles = [
        (f"usual_{role}", label(role), people) for role, people in catalogue.holders().items()
    ]
    context = {
        "component": found,
        "values": Fields(values),
        "usual_roles": usual_roles,
        "usual_wrong": any(name.startswith("usual_") for name in errors),
        "errors": Fields(errors),
        "may_manage": catalogue.may_manage(request.user),
    }
    return render(request, "changes/component.html", context, status=422 if errors else 200)
