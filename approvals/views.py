"""The approver's queue."""

from __future__ import annotations

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from approvals import access, telephone
from approvals.models import Decision
from changemgmt.http import Request
from requests.models import ROW, ChangeRequest

PER_PAGE = 30
#: What a card of the queue shows.
CARD = (
    *("kind", "round", "deferred", "priority", "opened_at", "change__requester__name", "change__requester__username"),
    *(f"change__{name}" for name in (*ROW, "emergency_kind", "emergency_reference")),
)


@require_safe
def queue(request: Request) -> HttpResponse:
    """What waits for this person, most urgent and oldest first, a page at a time by keyset; beside it what they decided lately."""
    steps = access.waiting_for(request.user).select_related("change__requester").only(*CARD)
    after = request.GET.get("after", "").split("~")
    if len(after) == 2 and after[0] in {"P0", "P1", "P2", "P3"} and after[1].isdecimal() and len(after[1]) < 18:
        steps = steps.filter(Q(priority__gt=after[0]) | Q(priority=after[0], pk__gt=int(after[1])))
    # Keys grow with time: within a priority they order as the opening does, and page by one comparison.
    steps = steps.order_by("priority", "id")
    found = list(steps[: PER_PAGE + 1])
    more = f"{found[PER_PAGE - 1].priority}~{found[PER_PAGE - 1].pk}" if len(found) > PER_PAGE else ""
    visible = ChangeRequest.objects.visible_to(request.user)
    decided = Decision.objects.filter(actor=request.user, change__in=visible).select_related("change", "step").order_by("-id")
    decided = decided.only("verdict", "at", "on_behalf_of", "actor", "step__kind", "change__number", "change__summary")[:8]
    return render(
        request,
        "approvals/queue.html",
        {"steps": found[:PER_PAGE], "more": more, "decided": decided, "asked": list(telephone.waiting_for(request.user)[:20])},
    )
