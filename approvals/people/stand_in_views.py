"""The page of stand-ins: who holds another's role now, and giving one."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from accounts.models import User
from accounts.roles import label
from approvals.people import stand_ins
from language import reading
from language.refusal import Blocked, Invalid
from web.http import Fields, Request, key_of

PER_PAGE = 30


def stand_in_page(request: Request) -> HttpResponse:
    """Everybody reads it; POST proposes one, or ends one."""
    errors: dict[str, str] = {}
    if request.method == "POST":
        try:
            if "end" in request.POST:
                row = stand_ins.end(actor=request.user, key=key_of(request.POST["end"]))
                messages.success(
                    request,
                    f"{row.user} is {row.role_label.lower()} no longer; all four have been told.",
                )
            else:
                _propose(request)
                messages.success(request, "Asked: it counts when the second person has confirmed.")
            return redirect("approvals:stand_ins")
        except Invalid as refused:
            errors = dict(refused.fields)
        except Blocked as refused:
            errors = {"end": str(refused)}
    rows = stand_ins.listed_for_page()
    if after := key_of(request.GET.get("after", "")):
        rows = rows.filter(pk__lt=after)
    found = list(rows[: PER_PAGE + 1])
    may_give = not stand_ins.refusal(request.user)
    holds = request.user.holds_itself
    roles = [role for role in stand_ins.ROLES if may_give and holds(*stand_ins.givers_of(role))]
    context = {
        "rows": [(row, not stand_ins.end_refusal(row, request.user)) for row in found[:PER_PAGE]],
        "more": found[PER_PAGE - 1].pk if len(found) > PER_PAGE else None,
        "may_give": may_give,
        "roles": [(role, label(role)) for role in roles],
        "people": User.deciders().order_by("name", "username")[:500] if may_give else [],
        "values": Fields(request.POST),
        "errors": Fields(errors),
    }
    status = 422 if errors else 200
    return render(request, "approvals/people/stand_ins.html", context, status=status)


def _propose(request: Request) -> None:
    post = request.POST
    try:
        ends_at = reading.instant(post["ends_at"]) if post.get("ends_at") else None
    except reading.Wrong as problem:
        raise Invalid(fields={"ends_at": f"Until: {problem}"}) from None
    stand_ins.propose(
        actor=request.user,
        username=post.get("username", ""),
        role=post.get("role", ""),
        instead_of=post.get("instead_of", ""),
        ends_at=ends_at,
        reason=post.get("reason", ""),
    )
