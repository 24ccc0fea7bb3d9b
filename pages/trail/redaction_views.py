"""The page on which a text of an event is taken out: seen by both who must agree."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from audit.models import Redaction
from language.refusal import Blocked, Invalid, raise_refusal
from proposals.models import Proposal
from requests import redaction
from web.http import Fields, Request


def redact(request: Request, key: int) -> HttpResponse:
    """GET shows the event's texts; POST asks for the second person."""
    event, change = redaction.event_for(request.user, key)
    refused = redaction.refusal(event, request.user)
    raise_refusal([reason for reason in refused if reason.code == "not_yours"])
    errors: dict[str, str] = {}
    if request.method == "POST":
        try:
            redaction.propose(
                actor=request.user,
                event_key=key,
                n=request.POST.get("n", ""),
                reason=request.POST.get("reason", ""),
            )
            messages.success(request, "Asked: it goes when the second person has confirmed.")
            return redirect("audit:redact", key)
        except Invalid as problem:
            errors = dict(problem.fields)
        except Blocked as problem:
            errors = {"n": str(problem)}
    context: dict[str, Any] = {
        "event": event,
        "change": change,
        "refused": refused,
        "texts": (
            [(text, redaction.text_refusal(change, text.text)) for text in redaction.texts(event)]
            if not refused
            else []
        ),
        "asked": (
            Proposal.objects.filter(
                kind=redaction.KIND, state=Proposal.State.OPEN, payload__event=key
            ).select_related("author")
        ),
        "taken": Redaction.objects.filter(words=key).select_related("proposed_by", "confirmed_by"),
        "errors": Fields(errors),
        "typed": Fields(request.POST),
    }
    return render(request, "trail/redact.html", context, status=422 if errors else 200)
