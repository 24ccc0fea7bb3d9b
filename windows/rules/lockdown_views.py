"""The page of lockdowns: those in force, one more, and lifting."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from language import reading
from language.refusal import Invalid, Refused, raise_refusal
from web.http import Fields, Request, key_of, record_refusal, status_of
from windows.rules import lockdown


def lockdowns(request: Request) -> HttpResponse:
    """What is locked down and what that holds; stop, and lift."""
    refused: Refused | None = None
    if request.method == "POST":
        try:
            return _locked_or_lifted(request)
        except Refused as problem:
            record_refusal(request, problem)
            refused = problem
    typed = request.POST.get("components", "") or request.GET.get("components", "")[:2000]
    scope = reading.names(typed)[:50]
    known = refused.fields if isinstance(refused, Invalid) else {}
    context = {
        "found": [(row, lockdown.holds(row.scope, request.user)) for row in lockdown.in_force()],
        "would": (
            lockdown.holds([], request.user)
            if not scope or "scope" in known
            else lockdown.holds(scope, request.user)
        ),
        "may": not lockdown.refusal(request.user),
        "refused": refused,
        "errors": Fields(known),
        "values": Fields({"components": typed, "reason": request.POST.get("reason", "")}),
        "lifting": request.POST.get("key", ""),
    }
    return render(
        request,
        "windows/rules/lockdown.html",
        context,
        status=status_of(refused) if refused else 200,
    )


def _locked_or_lifted(request: Request) -> HttpResponse:
    raise_refusal(lockdown.refusal(request.user))
    reason, key = request.POST.get("reason", ""), request.POST.get("key", "")
    if key:
        found = lockdown.lift(actor=request.user, key=key_of(key), reason=reason)
        messages.success(
            request, f"{found.name[:1].upper()}{found.name[1:]} is lifted; what it held may go on."
        )
    else:
        scope = reading.names(request.POST.get("components", ""))
        made = lockdown.lock_down(actor=request.user, scope=scope, reason=reason)
        messages.success(request, f"Stopped: {made.name}. Whoever it stops has been told.")
    return redirect("windows:lockdown")
