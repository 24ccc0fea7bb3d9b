"""The approval card: all that it takes to judge one step, and the verdict; reached from the queue,
or by the link in a mail.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render

from approvals.deciding import suggestions
from approvals.models import Step
from approvals.people import who_decides
from approvals.rounds import mail_links, rounds
from implementation.run import duty
from implementation.run.case import Case
from language.refusal import Invalid, Missing, Reason, Refused, refusal_of
from pages.change import clicks, timeline, timing
from pages.change.failure import Failure, failure
from pages.request_form.forms import SECURITY_WORDS
from requests import changes, risk
from requests.components import record_of
from requests.models import ChangeRequest
from web.http import Fields, Request, record_refusal, status_of


def card(request: Request, step_id: int) -> HttpResponse:
    """One step of the queue; after the verdict the next one that waits."""
    step = _step(request, step_id)
    return (
        _show(request, step) if request.method != "POST" else _decide(request, step, goes_on=True)
    )


def by_mail(request: Request, token: str) -> HttpResponse:
    """The page behind a mail's link. To open it changes nothing; only its button decides."""
    link = mail_links.read(token, request.user)
    step = _step(request, link.step)
    mail_links.check_content(link, step)
    return (
        _show(request, step) if request.method != "POST" else _decide(request, step, goes_on=False)
    )


def _step(request: Request, key: int) -> Step:
    visible = ChangeRequest.objects.visible_to(request.user)
    step = (
        Step.objects.filter(pk=key, change__in=visible).select_related("change").first()
        if 0 < key < 2**63
        else None
    )
    if step is None:
        raise Missing([Reason("missing", "There is no such step, or you may not see its change.")])
    return step


def _show(
    request: Request, step: Step, failed: Failure | None = None, status: int = 200
) -> HttpResponse:
    """The card of a step that this person may decide now; else why not, with the way to the
    change.
    """
    change = step.change
    case = Case(change, request.user)
    mine = next((own for own in case.mine if own.pk == step.pk), None)
    if mine is None:
        refused = refusal_of(_why_not(case, step))
        context = {"change": change, "step": step, "refused": refused}
        return render(request, "change/settled.html", context, status=status_of(refused))
    context = _card(case, mine) | {
        "post_to": request.path,
        "failed": Failure() if failed is None else failed,
    }
    return render(request, "change/card_page.html", context, status=status)


def _why_not(case: Case, step: Step) -> list[Reason]:
    """Why this person does not decide the step now."""
    found = next((own for own in case.steps if own.pk == step.pk), None)
    if found is None:
        text = f"{step.label} belongs to an earlier round; the content has changed since."
        return [Reason("settled", text)]
    other = "This step waits for another answer; it is on the change's page."
    return case.decision_refusal(found) or [Reason("settled", other)]


def _card(case: Case, mine: Step) -> dict[str, Any]:
    """What a decider reads before they decide."""
    change, instead = case.change, case.standing_in_for(mine)
    record = record_of(change.components.all())
    return {
        "change": change,
        "step": mine,
        "title": f"{mine.label} for {instead}" if instead else f"Your {mine.label.lower()}",
        "next": {
            "title": f"{mine.label} for {instead}" if instead else mine.label,
            "sentence": (
                f"{rounds.what_approving_does(mine, case.steps)} {duty.bars(case, mine)}".rstrip()
            ),
            "ahead": case.signs_ahead(mine),
            "before": case.judged_before(mine),
        },
        "may_suggest": not suggestions.refusal(change, case.actor),
        "changed_since": timeline.changed_between(case.edits_since),
        "last_verdict": case.last_verdict,
        "changed_since_approval": timeline.changed_between(case.edits_since_approval),
        "suggested": risk.suggest(change.risk_answers, record) if change.risk_answers else None,
        "record": record,
        "plan": timing.plan(change),
        **timing.calendar(case, wants_slots=False, foresees=False),
        "depends_on": case.visible_needs,
        "security_answers": [
            (words, getattr(change, name)) for name, words in SECURITY_WORDS.items()
        ],
        "why_security": rounds.why_security(change, case.steps),
        "spared": [
            decision for own in case.steps for decision in own.decisions.all() if decision.spared
        ],
        "documented": case.documentation.values if case.documentation else {},
    }


def _decide(request: Request, step: Step, *, goes_on: bool) -> HttpResponse:
    """Give the verdict of the form, or say something and come back with all that was ticked; then,
    where it `goes_on`, the next card.
    """
    try:
        if request.POST.get("verdict") == "comment":
            return _comment(request, step)
        said = clicks.decide_by_form(request, step.change.number, step.pk)
    except Missing:
        raise
    except Refused as refused:
        record_refusal(request, refused)
        return _show(request, step, failure(request, "decide", refused), status_of(refused))
    messages.success(request, said)
    waiting = who_decides.waiting_for(request.user)
    after = waiting.filter(
        Q(priority__gt=step.priority) | Q(priority=step.priority, pk__gt=step.pk)
    )
    following = (after.first() or waiting.first()) if goes_on else None
    return (
        redirect("implementation:card", step_id=following.pk)
        if following
        else redirect("approvals:queue")
    )


def _comment(request: Request, step: Step) -> HttpResponse:
    try:
        changes.comment(
            actor=request.user, number=step.change.number, text=request.POST.get("comment", "")
        )
    except Invalid as refused:
        raise Invalid(fields={"comment": str(refused)}) from None  # the field's name here
    messages.success(request, "Your comment is on the change's page; nothing is decided yet.")
    typed = {name: value for name, value in request.POST.items() if name != "comment"}
    return _show(request, step, Failure(values=Fields(typed)))
