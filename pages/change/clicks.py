"""Every verb that is done on a change by click: thin callers of the services, one row each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from accounts.models import User
from approvals.deciding import added_security, ahead, decisions, lowered_risk, ratification, recording, suggestions, telephone
from approvals.models import Step
from approvals.policy.policy import EMERGENCY
from approvals.rounds import submission, taking_back
from implementation.evidence import evidence
from implementation.review import reviews
from implementation.run import duty, verbs
from implementation.run.case import Case
from language.refusal import Blocked, Invalid, Missing, Refused
from language.say import say_span
from pages.change import timing, views
from pages.request_form import forms
from requests import access, changes, cleaning, lifecycle, sharing, watching
from requests.models import ChangeRequest, Comment
from requests.states import EDITABLE
from web.http import Request, key_of, record_refusal, status_of
from windows.booking import bookings, freeze_exceptions

Post = Any
Verb = Callable[[User, str, Post], Any]


def _yes(post: Post, name: str) -> bool | None:
    return {"yes": True, "no": False}.get(post.get(name, ""))


def _start(post: Post) -> datetime:
    try:
        return cleaning.instant(post.get("start", ""))
    except cleaning.Wrong as problem:
        raise Invalid(fields={"start": f"Start: {problem}"}) from None


def _schedule(actor: User, number: str, post: Post) -> Any:
    return bookings.schedule(
        actor=actor,
        number=number,
        start=_start(post),
        short_notice_reason=post.get("short_notice_reason", ""),
        override_reason=post.get("override_reason", ""),
    )


def _booked(change: ChangeRequest) -> str:
    """With the warning that nobody is there to start it (A37)."""
    assert change.slot_start is not None
    assert change.slot_end is not None
    return f"Booked: {say_span(change.slot_start, change.slot_end)}. {duty.warning(Case(change, change.requester))}".rstrip()


def _ask_opening(actor: User, number: str, post: Post) -> Any:
    return bookings.ask_for_opening(actor=actor, number=number, start=_start(post), reason=post.get("reason", ""))


def _about_exception(do: Callable[..., Any]) -> Verb:
    """A verb of a freeze exception, with the slot that it is about."""

    def run(actor: User, number: str, post: Post) -> Any:
        try:
            slot = cleaning.instant(post.get("slot_start", ""))
        except cleaning.Wrong as problem:
            raise Invalid(fields={"slot_start": f"Slot start: {problem}"}) from None
        seen = {"asked": post["asked"]} if "asked" in post else {}
        return do(actor=actor, number=number, slot_start=slot, reason=post.get("reason", ""), **seen)

    return run


def _document(actor: User, number: str, post: Post) -> Any:
    values = {name: value for name, value in forms.values_from(post).items() if value not in (None, "")}
    return reviews.document(actor=actor, number=number, values=values)


def _item(actor: User, number: str, post: Post) -> Any:
    return evidence.settle_item(
        actor=actor,
        number=number,
        item_id=key_of(post.get("item", "")),
        state=post.get("state", ""),
        note=post.get("note"),
        output=post.get("output"),
    )


def _issue(actor: User, number: str, post: Post) -> Any:
    return evidence.open_issue(
        actor=actor,
        number=number,
        severity=post.get("severity", ""),
        summary=post.get("summary", ""),
        detected_at=post.get("detected_at") or None,
        link=post.get("link", ""),
    )


def _resolve(actor: User, number: str, post: Post) -> Any:
    return evidence.edit_issue(actor=actor, number=number, n=key_of(post.get("n", "")), values={"resolved_at": timezone.now().isoformat()})


def _check(actor: User, number: str, post: Post) -> Any:
    return evidence.record_check(
        actor=actor,
        number=number,
        name=post.get("name", ""),
        kind=post.get("kind", ""),
        passed=post.get("passed") == "yes",
        output=post.get("output", ""),
    )


def _review(actor: User, number: str, post: Post) -> Any:
    return reviews.write_review(
        actor=actor,
        number=number,
        runbook_updated=_yes(post, "runbook_updated"),
        **{name: post.get(name, "") for name in ("summary", "deviations", "lessons", "improvements")},
    )


def _commented(comment: Comment) -> str:
    """Whom it tells besides the change's people, and which @names it could not."""
    told, nobody = watching.whom(comment)
    sentence = "Your comment is there." + (f" Told: {', '.join(map(str, told))}." if told else "")
    return sentence + (
        f" Not told, for nobody of that name may see this change: {', '.join('@' + name for name in nobody)}." if nobody else ""
    )


#: verb → (what it does, what is said when it is done, the tab to come back to)
VERBS: dict[str, tuple[Verb, str | Callable[[Any], str], str]] = {
    "submit": (lambda a, n, p: decisions.submit(actor=a, number=n), submission.said, "change"),
    "cancel": (
        lambda a, n, p: taking_back.cancel(actor=a, number=n, reason=p.get("reason", ""), duplicate_of=p.get("duplicate_of", "").strip()),
        "Cancelled.",
        "change",
    ),
    "escalate": (
        lambda a, n, p: taking_back.escalate(
            actor=a,
            number=n,
            reason=p.get("reason", ""),
            emergency_kind=p.get("emergency_kind", ""),
            emergency_reference=p.get("emergency_reference", ""),
        ),
        "It is a P0 now; who can authorise it has been told.",
        "change",
    ),
    "confirm-phone": (
        lambda a, n, p: telephone.confirm(actor=a, number=n, step_id=key_of(p.get("step", "")), answer=p.get("answer", "")),
        "Your answer is recorded.",
        "change",
    ),
    "accept-suggestion": (
        lambda a, n, p: suggestions.accept(actor=a, number=n, key=key_of(p.get("suggestion", "")), version=key_of(p.get("version", ""))),
        "The text is yours now.",
        "change",
    ),
    "decline-suggestion": (
        lambda a, n, p: suggestions.decline(actor=a, number=n, key=key_of(p.get("suggestion", ""))),
        "Declined; its author has been told.",
        "change",
    ),
    "take-back": (
        lambda a, n, p: ahead.take_back(actor=a, number=n, step_id=key_of(p.get("step", ""))),
        "Taken back; it waits for you when its stage opens.",
        "change",
    ),
    "ratify": (
        lambda a, n, p: ratification.answer(actor=a, number=n, step_id=key_of(p.get("step", "")), answer=p.get("answer", "")),
        "Your answer is recorded.",
        "change",
    ),
    "transfer": (
        lambda a, n, p: changes.transfer(actor=a, number=n, requester=cleaning.username_of(p.get("requester", "").strip())),
        "Handed over.",
        "change",
    ),
    "add-security": (
        lambda a, n, p: added_security.add(actor=a, number=n, reason=p.get("reason", "")),
        "The security review is added; security has been told.",
        "change",
    ),
    "assess": (
        lambda a, n, p: lowered_risk.lower(actor=a, number=n, level=p.get("level", ""), reason=p.get("reason", "")),
        "The risk is lowered, for this round.",
        "change",
    ),
    "watch": (lambda a, n, p: watching.watch(actor=a, number=n), "You are told how it goes on.", "change"),
    "unwatch": (lambda a, n, p: watching.unwatch(actor=a, number=n), "You are not told any more.", "change"),
    "grant": (
        lambda a, n, p: sharing.grant(actor=a, number=n, to=cleaning.username_of(p.get("to", "").strip()) or p.get("role", "")),
        lambda done: f"{done} may see it from now on.",
        "change",
    ),
    "ungrant": (lambda a, n, p: sharing.withdraw(actor=a, number=n, to=p.get("to", "")), "The grant is taken back.", "change"),
    "comment": (lambda a, n, p: changes.comment(actor=a, number=n, text=p.get("text", "")), _commented, "change"),
    "schedule": (
        _schedule,
        _booked,
        "change",
    ),
    "ask-opening": (_ask_opening, "The change managers have been asked.", "change"),
    "ask-exception": (_about_exception(freeze_exceptions.ask), "CTO and change managers have been asked.", "change"),
    "grant-exception": (_about_exception(freeze_exceptions.grant), "Your half of the exception is granted.", "change"),
    "decline-exception": (_about_exception(freeze_exceptions.decline), "Said no; its people are told.", "change"),
    "unschedule": (lambda a, n, p: bookings.unschedule(actor=a, number=n, reason=p.get("reason", "")), "The slot is free again.", "change"),
    "take-over": (lambda a, n, p: verbs.take_over(actor=a, number=n, reason=p.get("reason", "")), "You implement it now.", "run"),
    "accept-take-over": (
        lambda a, n, p: verbs.accept_take_over(actor=a, number=n, reason=p.get("reason", "")),
        "Accepted: it may go forward.",
        "run",
    ),
    "start": (lambda a, n, p: verbs.start(actor=a, number=n, reason=p.get("reason", "")), "Started.", "run"),
    "accept-late-record": (
        lambda a, n, p: recording.accept_late(actor=a, number=n, reason=p.get("reason", "")),
        "Accepted; its requester submits it again.",
        "change",
    ),
    "finish": (
        lambda a, n, p: verbs.finish(actor=a, number=n),
        "The steps are through; verification and the 30-minute watch have begun.",
        "run",
    ),
    "complete": (
        lambda a, n, p: verbs.complete(actor=a, number=n, reason=p.get("reason", "")),
        "Completed. The review is due within 24 hours.",
        "run",
    ),
    "roll_back": (
        lambda a, n, p: verbs.roll_back(actor=a, number=n, reason=p.get("reason", ""), trigger=p.get("trigger", "")),
        lambda change: f"The {change.way_back.lower()} has begun: its checklist is open.",
        "run",
    ),
    "finish_rollback": (
        lambda a, n, p: verbs.finish_rollback(actor=a, number=n),
        lambda change: f"The {change.way_back.lower()} is finished. The review is due within 24 hours.",
        "run",
    ),
    "fail": (
        lambda a, n, p: verbs.fail(actor=a, number=n, reason=p.get("reason", "")),
        "Recorded as failed. The review is due within 24 hours.",
        "run",
    ),
    "close": (lambda a, n, p: reviews.close(actor=a, number=n), "Closed.", "change"),
    "extend": (
        lambda a, n, p: verbs.extend(actor=a, number=n, minutes=key_of(p.get("minutes", "")), reason=p.get("reason", "")),
        "Extended.",
        "run",
    ),
    "item": (_item, "", "run"),
    "add-item": (lambda a, n, p: evidence.add_item(actor=a, number=n, phase=p.get("phase", ""), text=p.get("text", "")), "Added.", "run"),
    "log": (lambda a, n, p: evidence.log(actor=a, number=n, kind=p.get("kind", "note"), message=p.get("message", "")), "Noted.", "run"),
    "check": (_check, "The check is recorded.", "run"),
    "accept-check": (
        lambda a, n, p: evidence.accept_check(actor=a, number=n, check_id=key_of(p.get("check", "")), reason=p.get("reason", "")),
        "Accepted.",
        "run",
    ),
    "issue": (_issue, "The issue is open.", "run"),
    "resolve-issue": (_resolve, "The issue is resolved.", "run"),
    "review": (_review, "The review is written.", "run"),
    "confirm": (lambda a, n, p: reviews.confirm_review(actor=a, number=n, p0_justified=_yes(p, "p0_justified")), "Confirmed.", "run"),
    "document": (_document, "The documentation is kept.", "run"),
}


def act(request: Request, number: str, verb: str) -> HttpResponse:
    """Do one verb. A refusal shows the page again, at this address, with the reason and all that was typed."""
    if request.method != "POST":  # somebody reloads, or opens the address of a refusal again
        return redirect(access.change_for(request.user, number))
    if verb == "clone":
        copy = changes.clone(actor=request.user, number=number)
        messages.success(request, f"{copy.number} is a draft copy of {number}.")
        return redirect(f"/changes/{copy.number}/edit")
    if verb == "split":
        part = changes.split(actor=request.user, number=number)
        messages.success(request, f"{part.number} is the next part and waits for {number}. Shorten both until each fits.")
        return redirect(f"/changes/{part.number}/edit")
    if verb not in VERBS:
        raise Http404
    do, said, tab = VERBS[verb]
    try:
        done = do(request.user, number, request.POST)
    except Missing:
        raise
    except Refused as refused:
        return _again(request, number, verb, tab, refused)
    messages.success(request, said if isinstance(said, str) else said(done))
    target = f"/changes/{number}/" + ("implementation/" if tab == "run" else "")
    anchor = f"#item-{key_of(request.POST.get('item', ''))}" if verb == "item" else ANCHORS.get(verb, "")
    return redirect(target + anchor)


#: Where on the page a verb is looked at afterwards.
ANCHORS = {"comment": "#activity", **dict.fromkeys(["ask-exception", "grant-exception", "decline-exception"], "#exceptions")}


def _target(verb: str, name: str) -> str:
    """The id of the field that an error is about."""
    if verb == "decide":
        return "cm" if name == "comment" else name.replace("checklist.", "tick_")
    return f"id_{name}" if name in YES_NO else f"{verb}-{name}"


YES_NO = frozenset({"runbook_updated", "p0_justified", "downtime_required"})
#: What a form sends that nobody typed.
UNTYPED = frozenset({"csrfmiddlewaretoken", "version", "verdict", "item", "check", "step", "state", "start", "slot_start", "asked"})


def failed(request: Request, verb: str, refused: Refused) -> dict[str, Any]:
    """What a page shows of a refusal: why, by field where it is about one, and all that was typed."""
    errors = refused.fields if isinstance(refused, Invalid) else {}
    said = [(reason.message, "") for reason in refused.reasons] or [(text, _target(verb, name)) for name, text in errors.items()]
    typed = any(value.strip() for name, value in request.POST.items() if name not in UNTYPED and isinstance(value, str))
    return {"verb": verb, "errors": errors, "said": said, "values": request.POST, "typed": typed}


def _again(request: Request, number: str, verb: str, tab: str, refused: Refused) -> HttpResponse:
    """The page once more, with why it was refused and all that was typed."""
    record_refusal(request, refused)
    what = failed(request, verb, refused)
    change = access.change_for(request.user, number)
    if tab == "run" and not (verb in lifecycle.LABELS and change.state in EDITABLE):
        return views.show_run(request, change, status_of(refused), failed=what)
    # Whether one of the proposed slots was refused, or a start that was typed in.
    what["listed"] = verb == "schedule" and "override_reason" not in request.POST
    return views.show_overview(request, change, status_of(refused), wants_slots=verb == "schedule", failed=what)


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
    checklist: dict[str, Any] = {key.removeprefix("tick_"): True for key in request.POST if key.startswith("tick_")}
    for key, note in request.POST.items():
        if key.startswith("na_") and isinstance(note, str) and note.strip():
            checklist[key.removeprefix("na_")] = {"not_applicable": note.strip()}
    version, verdict = key_of(request.POST.get("version", "")), request.POST.get("verdict", "")
    if verdict == "still_right":
        verdict, checklist = "approve", decisions.answers_before(request.user, step_id)
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
    done = "Authorised" if decision.step.kind == EMERGENCY and decision.verdict == decision.Verdict.APPROVE else decision.word.capitalize()
    caused = [timing.what_came_of_it(ChangeRequest.objects.get(pk=decision.change_id), request.user)]
    return " ".join([f"{done}: {number}, {decision.step.label.lower()}.", *signed, *caused]).strip()


def _sign_ahead(request: Request, number: str, key: int, version: int) -> str:
    """The next stage with it; where that waits for nobody any more, the verdict just given stands, and this is said."""
    try:
        with transaction.atomic():
            ahead.sign(actor=request.user, number=number, step_id=key, version=version)
    except Blocked as refused:
        return f"The other was not given: {refused}"
    return f"The {Step.objects.get(pk=key).label.lower()} is given with it."
