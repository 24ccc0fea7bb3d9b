"""What waits for its second person, and what was answered lately."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from language.refusal import Invalid
from proposals import second_person
from proposals.models import Proposal
from web.http import Request, key_of

PER_PAGE = 30


@require_safe
def index(request: Request) -> HttpResponse:
    return _show(request)


def _show(request: Request, *, key: int = 0, error: str = "", status: int = 200) -> HttpResponse:
    """Open ones first, the oldest on top; then the answered, the newest on top, a page at a time by
    key.
    """
    after = key_of(request.GET.get("after", ""))
    rows = Proposal.objects.select_related("author", "answered_by")
    answered = rows.exclude(state=Proposal.State.OPEN).order_by("-id")
    if after:
        answered = answered.filter(pk__lt=after)
    found = list(answered[: PER_PAGE + 1])
    waiting = [] if after else list(rows.filter(state=Proposal.State.OPEN).order_by("id")[:200])
    context = {
        "waiting": [
            (
                row,
                not second_person.answer_refusal(row, request.user),
                not second_person.withdraw_refusal(row, request.user),
            )
            for row in waiting
        ],
        "answered": found[:PER_PAGE],
        "more": found[PER_PAGE - 1].pk if len(found) > PER_PAGE else None,
        "wrong": key,
        "error": error,
        "typed": request.POST.get("reason", ""),
    }
    return render(request, "proposals/index.html", context, status=status)


def answer(request: Request, key: int) -> HttpResponse:
    """Confirm, decline or withdraw, as the button says."""
    if request.method != "POST":
        messages.info(request, "Nothing was recorded; press the button again.")
        return redirect("proposals:index")
    verb = request.POST.get("verb", "")
    try:
        if verb == "confirm":
            second_person.confirm(actor=request.user, key=key)
            messages.success(request, "Confirmed: it is in effect now.")
        elif verb == "decline":
            second_person.decline(
                actor=request.user, key=key, reason=request.POST.get("reason", "")
            )
            messages.success(request, "Declined; its author has been told why.")
        elif verb == "withdraw":
            second_person.withdraw(actor=request.user, key=key)
            messages.success(request, "Withdrawn.")
        else:
            raise Invalid(fields={"verb": "Choose confirm, decline or withdraw."})
    except Invalid as refused:
        return _show(request, key=key, error=str(refused), status=422)
    return redirect("proposals:index")
