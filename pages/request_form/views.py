"""The form of a change: new, edit, and what it shows while somebody types."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from approvals.deciding import decisions
from approvals.models import Decision
from approvals.rounds import submission, taking_back
from language.refusal import Blocked, Invalid, Missing, Reason, Refused, Stale, refusal_of
from pages.request_form import forms
from pages.request_form.preview import known_of, plain_of, preview_of
from requests import access, changes, cleaning, content, risk
from requests.models import ChangeRequest, Component, IdempotencyKey
from requests.states import State
from web.http import Fields, Request, key_of, record_refusal, status_of

#: priority → the fields that it needs before it can be submitted (A22): the form marks them.
NEEDED = {
    priority: sorted(content.missing_fields({"priority": priority}))
    for priority in ChangeRequest.Priority.values
}


def _questions(values: dict[str, Any]) -> dict[str, Any]:
    """Name, words and answer of each question about risk and security."""
    about_risk = [(f"risk_{question.key}", question.words) for question in risk.QUESTIONS]
    return {
        "risk_questions": [(name, words, values.get(name, "")) for name, words in about_risk],
        "security": [
            (name, words, values.get(name, "")) for name, words in forms.SECURITY_WORDS.items()
        ],
    }


def _asked_for(change: ChangeRequest | None) -> Iterable[Decision]:
    """What reviewers ask to have changed, of a change that was sent back."""
    if change is None or change.state != State.CHANGES_REQUESTED:
        return []
    asking = change.decisions.filter(round=change.round, verdict="request_changes")
    return asking.select_related("actor", "on_behalf_of", "stand_in__instead_of", "step")


def _form_page(
    request: Request,
    *,
    change: ChangeRequest | None,
    values: dict[str, Any],
    errors: dict[str, str] | None = None,
    notice: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "change": change,
        "values": Fields(values),
        "errors": Fields(errors),
        "notice": notice,
        "token": values.get("token") or uuid.uuid4().hex,
        "strategies": ChangeRequest.Strategy.choices,
        "ways_back": ChangeRequest.NoWayBack.choices,
        "risks": ChangeRequest.Risk.choices,
        "kinds": ChangeRequest.EmergencyKind.choices,
        "needed": NEEDED,
        **_questions(values),
        "components": list(
            Component.objects.filter(retired_at=None).values_list("slug", flat=True)[:300]
        ),
        "asked_for": _asked_for(change),
        "voids": (
            change is not None
            and change.state in (State.IN_REVIEW, State.APPROVED, State.SCHEDULED)
        ),
        **preview_of(request.user, values, change),
    }
    return render(request, "request_form/form.html", context, status=status)


def _draft_of(request: Request) -> ChangeRequest | None:
    """The draft that this form has made already: by its number, or by its one-time token if the
    number never reached the browser.
    """
    number = request.POST.get("number", "")
    if not number and request.POST.get("token"):
        key = IdempotencyKey.objects.filter(user=request.user, key=_form_key(request)).first()
        number = key.body if key else ""
    draft = access.change_for(request.user, number) if number else None
    # The form of a change that has moved on (the back button) edits nothing: its page is where one
    # goes on.
    if draft is not None and (draft.state != State.DRAFT or draft.requester_id != request.user.pk):
        raise Blocked(
            [
                Reason(
                    "state",
                    f"{draft.number} is {State(draft.state).label.lower()} already; go on from its"
                    " page.",
                )
            ]
        )
    return draft


def _form_key(request: Request) -> str:
    return (
        "form:"
        + hashlib.sha256((request.POST.get("token") or uuid.uuid4().hex).encode()).hexdigest()
    )


def _save(request: Request, values: dict[str, Any]) -> ChangeRequest:
    """Create the draft or bring it up to date: one change per form, however often it is sent."""
    draft = _draft_of(request)
    if draft is None:
        try:
            with transaction.atomic():
                key = IdempotencyKey.objects.create(
                    user=request.user,
                    key=_form_key(request),
                    fingerprint="form",
                    created_at=timezone.now(),
                )
                draft = changes.create(actor=request.user, values=values)
                key.status, key.body = 201, draft.number
                key.save()
                return draft
        except IntegrityError:
            draft = _draft_of(request)
            if draft is None:
                raise
    with transaction.atomic():  # under lock: the form's own save a moment ago is nobody else's edit
        version = access.change_for(request.user, draft.number, lock=True).version
        return taking_back.edit(
            actor=request.user, number=draft.number, version=version, values=values
        )


#: intent of the form → what its sender goes on to ask the change managers for, on the draft's page
ASKS = {"ask-longer": "longer", "ask-opening": "opening"}


NOT_LOST = "Nothing you typed is lost: it stands below."


NO_SUMMARY = "Summary: say in one line what changes; a draft is kept by it."


def new(request: Request) -> HttpResponse:
    """A new change: save as a draft, or save and submit. Whatever is wrong, what was typed is shown
    again, and kept.
    """
    access.check_may_write(request.user)
    if request.method != "POST":
        priority = request.GET.get("priority", "")
        known = priority if priority in ChangeRequest.Priority.values else ""
        values = {"priority": known, "strategy": "rolling"}
        return _form_page(request, change=None, values=values)
    typed = forms.typed(request.POST)
    if not request.POST.get("summary", "").strip() and not request.POST.get("number"):
        # Nothing that anybody could find again: no draft, and no number is spent on it.
        return _refused(request, None, typed, Invalid(fields={"summary": NO_SUMMARY}), NOT_LOST)
    try:
        return _made(request, typed)
    except Missing:
        raise
    except Refused as refused:
        kept = "Everything you typed is kept in the draft." if typed.get("number") else NOT_LOST
        return _refused(request, None, typed, refused, kept)


def _made(request: Request, typed: dict[str, Any]) -> HttpResponse:
    """The draft, kept or submitted; its number goes into `typed` as soon as there is one."""
    change = _save(request, forms.values_from(request.POST))
    typed["number"] = change.number
    if request.POST.get("intent") == "submit":
        change = decisions.submit(actor=request.user, number=change.number)
        messages.success(request, submission.said(change))
    else:
        messages.success(request, f"{change.number} is kept as a draft.")
    return _onwards(request, change)


def _onwards(request: Request, change: ChangeRequest) -> HttpResponse:
    """To the change's page, there to the form by which to ask, where that was the intent."""
    if asks := ASKS.get(request.POST.get("intent", "")):
        return redirect(f"{change.get_absolute_url()}?ask={asks}#no-fit")
    return redirect(change)


def _refused(
    request: Request,
    change: ChangeRequest | None,
    typed: dict[str, Any],
    refused: Refused,
    notice: str,
) -> HttpResponse:
    """The form once more, with all that was typed and all that is wrong with it."""
    record_refusal(request, refused)
    if change is not None and isinstance(refused, Stale):
        errors = _differing(change, typed)
        typed["version"] = change.version
    else:
        errors = _all_that_is_wrong(refused, request, typed)
    status = status_of(refused)
    return _form_page(
        request, change=change, values=typed, errors=errors, notice=notice, status=status
    )


def _all_that_is_wrong(refused: Refused, request: Request, typed: dict[str, Any]) -> dict[str, str]:
    """Wrong values and, for whoever wanted to submit, missing ones too: told at once, in the form's
    order.
    """
    if not isinstance(refused, Invalid):
        return {"": str(refused)}
    if request.POST.get("intent") != "submit":
        return refused.fields
    found = content.missing_fields(plain_of(*known_of(request.user, typed))) | refused.fields
    order = [*content.BY_NAME, *found]
    return {name: found[name] for name in sorted(found, key=order.index)}


def edit(request: Request, number: str) -> HttpResponse:
    """Edit a change. The version that the person saw goes with the form: somebody else's edit in
    between is told, not overwritten.
    """
    change = access.change_for(request.user, number)
    refusal = taking_back.edit_refusal(change, request.user)
    if refusal and request.method != "POST":
        record_refusal(request, refusal_of(refusal))
        messages.error(request, " ".join(reason.message for reason in refusal))
        return redirect(change)
    if request.method != "POST":
        return _form_page(
            request,
            change=change,
            values=forms.shown(change) | {"number": change.number, "version": change.version},
        )
    typed = forms.typed(request.POST)
    try:
        return _edited(request, number, typed)
    except Refused as refused:
        change = access.change_for(request.user, number)  # as it is by now
        notice = OVERTAKEN if isinstance(refused, Stale) else "Nothing you typed is lost."
        return _refused(request, change, typed, refused, notice)


OVERTAKEN = (
    "Somebody edited it since you opened it. Your text stands below; "
    "saving again puts it in place of theirs."
)


def _edited(request: Request, number: str, typed: dict[str, Any]) -> HttpResponse:
    values, seen = forms.values_from(request.POST), key_of(request.POST.get("version", ""))
    change = taking_back.edit(actor=request.user, number=number, version=seen, values=values)
    submits = request.POST.get("intent") == "submit"
    if submits and change.state in (State.DRAFT, State.CHANGES_REQUESTED):
        typed["version"] = change.version
        change = decisions.submit(actor=request.user, number=number)
        messages.success(request, submission.said(change))
    else:
        in_review = change.state == State.IN_REVIEW
        more = " A new round of approval has begun." if in_review else ""
        messages.success(request, f"Saved.{more}")
    return _onwards(request, change)


def _differing(change: ChangeRequest, typed: dict[str, Any]) -> dict[str, str]:
    """Field → what it says now, where that is not what was typed: for whoever edited at the same
    time as somebody else.
    """
    now = forms.shown(change)
    differing = {
        name: str(now.get(name) or "")
        for name in content.BY_NAME
        if str(typed.get(name) or "") != str(now.get(name) or "")
    }
    told = {
        name: f"{content.BY_NAME[name].label}: it now says “{value[:200]}”."
        for name, value in differing.items()
    }
    return told or {"": "Somebody edited it since you opened it; it now says what you wrote, too."}


@require_POST
def preview(request: Request) -> HttpResponse:
    """While somebody types: the rail and the verdict anew, and the draft saved as far as its fields
    can be taken.
    """
    typed = forms.typed(request.POST)
    change, saved = None, False
    if (
        request.POST.get("autosave")
        and request.POST.get("summary", "").strip()
        and request.user.may_write
    ):
        values = _usable(forms.values_from(request.POST))
        try:
            change, saved = _save(request, values), True
        except Refused:
            saved = False
    context = {
        "values": Fields(typed),
        "change": change,
        "saved": saved,
        **preview_of(request.user, typed, change),
    }
    return render(request, "request_form/preview.html", context)


def _usable(values: dict[str, Any]) -> dict[str, Any]:
    """Only the fields that can be taken as they are."""
    try:
        cleaning.clean(values)
    except Invalid as refused:
        return {name: value for name, value in values.items() if name not in refused.fields}
    return values
