"""The trail as a page."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from audit import api
from audit.models import Event
from audit.trail import change_numbers, verify
from language.refusal import NotYours, Reason
from requests import redaction
from web.http import Request, key_of

PER_PAGE = 100


@require_safe
def trail(request: Request) -> HttpResponse:
    """Newest first, keyset-paged, by person and action; verified on request."""
    if not api.may_read_all(request.user):
        raise NotYours(
            [
                Reason(
                    "not_yours",
                    "Auditors and change managers read the whole trail. A change's own trail is on"
                    " its Audit tab.",
                )
            ]
        )
    events = Event.objects.select_related("actor", "link", "words").order_by("-id")
    actor, action = (request.GET.get(name, "")[:150] for name in ("actor", "action"))
    if actor:
        events = events.filter(actor__username=actor)
    if action:
        events = events.filter(action=action)
    if before := key_of(request.GET.get("before", "")):
        events = events.filter(pk__lt=before)
    found = list(events[: PER_PAGE + 1])
    shown = found[:PER_PAGE]
    context = {
        "events": shown,
        "more": shown[-1].pk if len(found) > PER_PAGE else None,
        "may_redact": request.user.has_role(*redaction.ROLES),
        "numbers": change_numbers(shown),
        "actor": actor,
        "action": action,
        "verification": verify() if request.GET.get("verify") else None,
    }
    return render(request, "trail/trail.html", context)
