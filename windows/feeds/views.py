"""Calendar feeds and the import of .ics files."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from language import reading
from language.refusal import Invalid, Refused, raise_refusal
from web.http import Fields, Request, key_of, record_refusal, status_of
from windows.feeds import feeds as service
from windows.models import Feed
from windows.rules import consequences, fields, ics, rules

SHOWN = 100
KINDS = [
    ("freeze", "Code freezes, with exceptions"),
    ("blackout", "Blackouts, without"),
    ("window", "One-off openings"),
]


def feeds(request: Request) -> HttpResponse:
    """One's own feeds; the address of a new one is shown once."""
    address, errors = "", {}
    if request.method == "POST":
        try:
            if key := request.POST.get("revoke", ""):
                service.revoke(actor=request.user, key=key_of(key))
                messages.success(request, "Revoked; its address opens nothing any more.")
                return redirect("windows:feeds")
            _, secret = service.make(
                actor=request.user,
                kind=request.POST.get("kind", ""),
                team=request.POST.get("team", ""),
            )
            address = request.build_absolute_uri(f"/feeds/{secret}/changes.ics")
        except Invalid as refused:
            errors = refused.fields
    context = {
        "feeds": request.user.feeds.filter(revoked_at__isnull=True),
        "kinds": Feed.Kind.choices,
        "teams": service.teams(),
        "address": address,
        "errors": Fields(errors),
    }
    return render(request, "windows/feeds/feeds.html", context, status=422 if errors else 200)


@login_not_required
@never_cache
def feed(request: Request, token: str) -> HttpResponse:
    """The feed itself: whoever has the address reads what its owner may see; it opens
    nothing else.
    """
    if request.method not in ("GET", "HEAD"):
        return _unlogged("A feed is read, with GET.", 405)
    found = service.opened_by(token)
    if found is None:
        return _unlogged("There is no such feed.", 404)
    answer = HttpResponse(service.write(found), content_type="text/calendar; charset=utf-8")
    answer["Content-Disposition"] = 'inline; filename="changes.ics"'
    return answer


def _unlogged(text: str, status: int) -> HttpResponse:
    """A refusal that leaves its address out of the log: it is a secret, whatever became of it."""
    response = HttpResponse(f"{text}\n", content_type="text/plain; charset=utf-8", status=status)
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def import_ics(request: Request) -> HttpResponse:
    """An .ics file as freezes, blackouts or openings: read, shown with what it would do, and only
    then saved.
    """
    raise_refusal(rules.edit_refusal(request.user))
    context = NOTHING_READ | {
        "kinds": KINDS,
        "values": Fields(request.POST),
        "errors": Fields(),
        "as": request.POST.get("as", "freeze"),
    }
    refused: Refused | None = None
    if request.method == "POST":
        try:
            if request.POST.get("edits"):
                return _import(request)
            context |= _look(request)
        except Refused as problem:
            record_refusal(request, problem)
            refused = problem
            context["errors"] = Fields(
                problem.fields if isinstance(problem, Invalid) else {"": str(problem)}
            )
            with suppress(
                Refused, KeyError, TypeError, AttributeError, ValueError
            ):  # whatever of it can still be shown
                context |= _shown(request, _edits(request.POST.get("edits", "")), [], 0)
    return render(
        request, "windows/feeds/import.html", context, status=status_of(refused) if refused else 200
    )


def _look(request: Request) -> dict[str, Any]:
    sent = request.FILES.get("file")
    if sent is None:
        raise Invalid(fields={"file": "File: choose an .ics file."})
    scope = reading.names(request.POST.get("scope", ""))
    kind = request.POST.get("as", "")
    found = ics.read(
        sent.read(ics.LARGEST + 1), as_kind=kind, now=timezone.now(), scope=scope, admits=["P0"]
    )
    return _shown(request, [rules.Edit(**edit) for edit in found.edits], found.left_out, found.past)


#: Of what a rule's page says besides its consequence: an import has all its values, and asks for
#: nothing more.
ALREADY_WRITTEN: dict[str, Any] = {
    "missing": {},
    "occurrences": [],
    "may_edit": False,
    "is_past": False,
}


#: What a page shows before a file has been sent.
NOTHING_READ: dict[str, Any] = {
    "edits": "",
    "lines": [],
    "count": 0,
    "left_out": [],
    "past": 0,
    "consequence": None,
}


def _shown(
    request: Request, edits: list[rules.Edit], left_out: list[str], past: int
) -> dict[str, Any]:
    lines = [(edit.values or {}) for edit in edits]
    return {
        "edits": json.dumps([edit.as_dict() for edit in edits]),
        "lines": [_line(values) for values in lines[:SHOWN]],
        "count": len(edits),
        "left_out": left_out[:SHOWN],
        "past": past,
        "consequence": consequences.consequence(edits, request.user) if edits else None,
        **ALREADY_WRITTEN,
    }


def _line(values: Any) -> dict[str, Any]:
    kind = "window" if "rule" in values else "closure"
    now, rule = timezone.now(), fields.version(kind, fields.clean(kind, values)).value()
    return {
        "name": values["name"],
        "occurrence": next(iter(rule.occurrences(now, now + fields.LOOKED_AHEAD)), None),
    }


def _edits(text: str) -> list[rules.Edit]:
    """What the page of the preview sent back."""
    try:
        sent = json.loads(text)
        return [rules.Edit(str(edit["kind"]), None, dict(edit["values"])) for edit in sent][
            : ics.MOST_RULES
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Invalid(
            fields={"file": "File: choose it again; what the page sent back cannot be read."}
        ) from None


def _import(request: Request) -> HttpResponse:
    edits = _edits(request.POST["edits"])
    if not edits:
        raise Invalid(fields={"file": "File: there is nothing in it to import."})
    proposal = rules.save(actor=request.user, edits=edits, reason=request.POST.get("reason", ""))
    if proposal:
        messages.success(request, "It allows more than now, so it waits for a second person.")
        return redirect(proposal)
    messages.success(request, f"{len(edits)} rule{'s are' if len(edits) > 1 else ' is'} in effect.")
    return redirect("windows:rules")
