"""Clicks on the page of a change: whichever is declared (`clicks.py` of each app), and deciding."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect

from accounts.models import User
from approvals.deciding import ahead, answers, decisions
from approvals.models import Step
from approvals.policy.policy import EMERGENCY
from implementation.review import reviews
from language.refusal import Blocked, Missing, Refused
from pages.change import timing, views
from pages.change.failure import failure
from pages.request_form import forms
from requests import access, lifecycle
from requests.models import ChangeRequest
from requests.states import EDITABLE
from web.clicks import CLICKS, Posted, click
from web.http import Request, key_of, record_refusal, status_of


@click("document", "The documentation is kept.", tab="run")
def document(actor: User, number: str, posted: Posted) -> Any:
    """By the fields of the request form, so it stands here and not in `implementation`."""
    values = {
        name: value
        for name, value in forms.values_from(posted.values).items()
        if value not in (None, "")
    }
    return reviews.document(actor=actor, number=number, values=values)


def act(request: Request, number: str, verb: str) -> HttpResponse:
    """Do one verb. A refusal shows the page again, at this address, with the reason and all that
    was typed.
    """
    if request.method != "POST":  # somebody reloads, or opens the address of a refusal again
        return redirect(access.change_for(request.user, number))
    if verb not in CLICKS:
        raise Http404
    wanted, posted = CLICKS[verb], Posted(request.POST)
    try:
        done = wanted.do(request.user, number, posted)
    except Missing:
        raise
    except Refused as refused:
        return _again(request, number, verb, wanted.tab, refused)
    messages.success(request, wanted.sentence(done))
    return redirect(wanted.address(number, posted, done))


def _again(request: Request, number: str, verb: str, tab: str, refused: Refused) -> HttpResponse:
    """The page once more, with why it was refused and all that was typed."""
    record_refusal(request, refused)
    what = failure(request, verb, refused)
    change = access.change_for(request.user, number)
    if tab == "run" and not (verb in lifecycle.LABELS and change.state in EDITABLE):
        return views.show_run(request, change, status_of(refused), failed=what)
    return views.show_overview(
        request, change, status_of(refused), wants_slots=verb == "schedule", failed=what
    )


def decide(request: Request, number: str, step_id: int) -> HttpResponse:
    """Approve, reject, request changes or waive by click, from the change's page."""
    if request.method != "POST":
        return redirect(access.change_for(request.user, number))
    try:
        said = decide_by_form(request, number, step_id)
    except Missing:
        raise
    except Refused as refused:
        return _again(request, number, "decide", "change", refused)
    messages.success(request, said)
    return redirect(f"/changes/{number}/")


def decide_by_form(request: Request, number: str, step_id: int) -> str:
    """Give the verdict that a form holds; returns what is said when it is done."""
    checklist: dict[str, Any] = {
        key.removeprefix("tick_"): True for key in request.POST if key.startswith("tick_")
    }
    for key, note in request.POST.items():
        if key.startswith("na_") and isinstance(note, str) and note.strip():
            checklist[key.removeprefix("na_")] = {"not_applicable": note.strip()}
    version, verdict = key_of(request.POST.get("version", "")), request.POST.get("verdict", "")
    if verdict == "still_right":
        verdict, checklist = "approve", answers.answers_before(request.user, step_id)
    with transaction.atomic():
        decision = decisions.decide(
            actor=request.user,
            number=number,
            step_id=step_id,
            verdict=verdict,
            version=version,
            comment=request.POST.get("comment", ""),
            checklist=checklist,
            on_behalf_of=request.POST.get("on_behalf_of", ""),
        )
        also = request.POST.getlist("also") if decision.verdict == decision.Verdict.APPROVE else []
        signed = [_sign_ahead(request, number, key_of(key), version) for key in also[:1]]
    done = (
        "Authorised"
        if decision.step.kind == EMERGENCY and decision.verdict == decision.Verdict.APPROVE
        else decision.word.capitalize()
    )
    caused = [
        timing.what_came_of_it(ChangeRequest.objects.get(pk=decision.change_id), request.user)
    ]
    return " ".join([f"{done}: {number}, {decision.step.label.lower()}.", *signed, *caused]).strip()


def _sign_ahead(request: Request, number: str, key: int, version: int) -> str:
    """The next stage with it; where that waits for nobody any more, the verdict just given stands,
    and this is said.
    """
    try:
        with transaction.atomic():
            ahead.sign(actor=request.user, number=number, step_id=key, version=version)
    except Blocked as refused:
        return f"The other was not given: {refused}"
    return f"The {Step.objects.get(pk=key).label.lower()} is given with it."
