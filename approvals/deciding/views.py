"""The approver's queue."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.models import Delegation, User
from accounts.roles import Role
from approvals.deciding import decisions, suggestions, telephone
from approvals.models import Decision, Step
from approvals.people import delegations, who_decides
from approvals.rounds import reminders
from language import reading
from language.refusal import Invalid, NotYours, Reason, Refused, Stale, raise_refusal
from language.say import say_instant
from pages.shell import MANY, badge
from requests import access, listing
from requests.models import ROW, ChangeRequest
from requests.states import State
from web.http import Fields, Request, key_of, record_refusal

PER_PAGE = 30
#: What a card of the queue shows.
CARD = (
    *(
        "kind",
        "roles",
        "mode",
        "needed",
        "round",
        "deferred",
        "priority",
        "opened_at",
        "due_hours",
        "ratify_by",
        "checklist",
        "change__requester__name",
        "change__requester__username",
    ),
    *(f"change__{name}" for name in (*ROW, "version", "emergency_kind", "emergency_reference")),
)


@require_safe
def queue(request: Request) -> HttpResponse:
    """What waits for this person, most urgent and oldest first, a page at a time by keyset; beside
    it what they decided lately.
    """
    waiting = who_decides.waiting_for(request.user)
    after = request.GET.get("after", "").split("~")
    if len(after) == 2 and after[0] in {"P0", "P1", "P2", "P3"} and (last := key_of(after[1])):
        waiting = waiting.filter(Q(priority__gt=after[0]) | Q(priority=after[0], pk__gt=last))
    # One reading of the keys says what stands on the page and, on the first, what the badge of the
    # menu says.
    keys = list(waiting.values_list("pk", flat=True)[: MANY + 1])
    cards = (
        Step.objects.filter(pk__in=keys[: PER_PAGE + 1])
        .select_related("change__requester")
        .only(*CARD)
    )
    found = who_decides.with_whom_for(request.user, list(cards.order_by("priority", "id")))
    shown, last_shown = found[:PER_PAGE], found[PER_PAGE - 1] if len(found) > PER_PAGE else None
    results = request.session.pop(RESULTS, None)
    context = {
        "steps": shown,
        "more": f"{last_shown.priority}~{last_shown.pk}" if last_shown else "",
        "decided": _decided_lately(request.user),
        "asked": list(telephone.waiting_for(request.user)[:20]),
        "standing_in": delegations.standing_in(request.user),
        "several": sum(step.may_go_with_others for step in shown) > 1,
        "results": results,
        "done_count": sum(result["done"] for result in results or []),
        "refused_count": sum(not result["done"] for result in results or []),
        "may_steer": request.user.has_role(*STEERING),
    }
    if len(after) != 2:
        context["waiting_count"] = badge(len(keys))
    return render(request, "approvals/deciding/queue.html", context)


def _decided_lately(user: User) -> QuerySet[Decision]:
    """This person's last verdicts, of changes that they may still see."""
    visible = ChangeRequest.objects.visible_to(user)
    own = Decision.objects.filter(actor=user, change__in=visible).order_by("-at", "-id")
    shown = ("verdict", "at", "on_behalf_of", "delegation", "actor")
    own = own.select_related("change", "step", "on_behalf_of")
    return own.only(*shown, "step__kind", "change__number", "change__summary")[:8]


@require_safe
def blocked(request: Request) -> HttpResponse:
    """Who is blocking what: every step that waits, the longest wait first, with who could decide
    it. For those who steer.
    """
    if not request.user.has_role(*STEERING):
        raise NotYours(
            [
                Reason(
                    "not_yours",
                    "Change managers, managers, the CTO and auditors see who is blocking what.",
                )
            ]
        )
    steps = Step.objects.filter(
        state=Step.State.OPEN, change__in=ChangeRequest.objects.visible_to(request.user)
    )
    after = request.GET.get("after", "")
    if after:
        at, key = listing.decode_cursor(after)
        steps = steps.filter(Q(opened_at__gt=at) | Q(opened_at=at, pk__gt=key)) if at else steps
    found = list(steps.select_related("change").order_by("opened_at", "id")[: PER_PAGE + 1])
    shown = found[:PER_PAGE]
    names = reminders.blockers(shown)
    rows = [(step, names[step.pk], reminders.decide_by(step)) for step in shown]
    more = listing.encode_cursor(shown[-1].opened_at, shown[-1].pk) if len(found) > PER_PAGE else ""
    return render(request, "approvals/deciding/blocked.html", {"rows": rows, "more": more})


RESULTS = "approved_together"  # in the session, until the queue has shown them
STEERING = (Role.CHANGE_MANAGER, Role.MANAGER, Role.CTO, Role.AUDITOR, Role.ENGINEERING_MANAGER)


@dataclass(frozen=True)
class Result:
    """How one of several approvals went."""

    number: str
    summary: str
    said: str
    done: bool


@require_POST
def several(request: Request) -> HttpResponse:
    """Approve the chosen steps, each by itself and by the same rule as alone; one that is refused
    holds up no other, and says why.
    """
    request.session[RESULTS] = [
        asdict(_approve_one(request, chosen)) for chosen in request.POST.getlist("step")[:PER_PAGE]
    ]
    return redirect("approvals:queue")


def _approve_one(request: Request, chosen: str) -> Result:
    """`chosen` is “step~version”: the version that the person saw in the queue."""
    key, _, version = chosen.partition("~")
    numbers = [key_of(part) for part in (key, version)]
    step = (
        Step.objects.filter(
            pk=numbers[0], change__in=ChangeRequest.objects.visible_to(request.user)
        )
        .select_related("change")
        .first()
    )
    if step is None:
        return Result("", "", "There is no such step.", done=False)
    number, summary = step.change.number, step.change.summary
    if not step.may_go_with_others:
        return Result(
            number,
            summary,
            f"{step.label}: its checklist is ticked on the change's page.",
            done=False,
        )
    try:
        decisions.decide(
            actor=request.user,
            number=number,
            step_id=step.pk,
            verdict="approve",
            version=numbers[1],
        )
    except Refused as refused:
        record_refusal(request, refused)
        return Result(number, summary, _why_not(refused), done=False)
    return Result(number, summary, f"{step.label}. {_what_followed(number)}", done=True)


def _why_not(refused: Refused) -> str:
    """Who ticked it in a list cannot look at what changed there: the round that the edit began asks
    anew.
    """
    if isinstance(refused, Stale):
        return (
            "It was edited since, which began a new round; it comes back to you when the steps"
            " before yours are through."
        )
    return str(refused)


def _what_followed(number: str) -> str:
    change = ChangeRequest.objects.get(number=number)
    if change.state == State.SCHEDULED and change.slot_start:
        return f"Approved, and booked for {say_instant(change.slot_start)}."
    return f"It is {State(change.state).label.lower()}."


def suggest(request: Request, number: str, field: str) -> HttpResponse:
    """Word one text of somebody else's change."""
    change = access.change_for(request.user, number)
    found = suggestions.check_field(field)
    raise_refusal(suggestions.refusal(change, request.user))
    text, errors = getattr(change, field), {}
    if request.method == "POST":
        text, comment = request.POST.get("text", ""), request.POST.get("comment", "")
        try:
            suggestions.suggest(
                actor=request.user, number=number, field=field, text=text, comment=comment
            )
        except Invalid as refused:
            errors = refused.fields
        else:
            messages.success(
                request, f"{change.requester} has been told; the text waits on the change's page."
            )
            return redirect(change)
    context = {
        "change": change,
        "field": found,
        "text": text,
        "comment": request.POST.get("comment", ""),
        "errors": Fields(errors),
    }
    return render(
        request, "approvals/deciding/suggest.html", context, status=422 if errors else 200
    )


def delegation_page(request: Request) -> HttpResponse:
    """Who decides for whom, and the form to let somebody decide while one is away."""
    errors: dict[str, str] = {}
    if request.method == "POST":
        try:
            if "end" in request.POST:
                delegation = get_object_or_404(Delegation, pk=key_of(request.POST["end"]))
                delegations.revoke(actor=request.user, delegation=delegation)
                messages.success(request, "The delegation has ended.")
            else:
                made = _delegate(request)
                messages.success(
                    request,
                    f"{made.receiver} decides for you from {say_instant(made.starts_at)}; you have"
                    " both been told.",
                )
            return redirect("approvals:delegations")
        except Invalid as refused:
            errors = refused.fields
    context = {
        "delegations": delegations.concerning(request.user),
        "people": delegations.possible(request.user) if request.user.may_write else [],
        "values": Fields(request.POST),
        "errors": Fields(errors),
    }
    return render(
        request, "approvals/deciding/delegations.html", context, status=422 if errors else 200
    )


def _delegate(request: Request) -> Delegation:
    wrong, times = {}, {}
    for name, word in (("starts_at", "From"), ("ends_at", "Until")):
        value = request.POST.get(name, "").strip()
        try:
            times[name] = reading.instant(value) if value or name == "ends_at" else timezone.now()
        except reading.Wrong as problem:
            wrong[name] = f"{word}: {problem}"
    if wrong:
        raise Invalid(fields=wrong)
    return delegations.delegate(
        actor=request.user,
        receiver=request.POST.get("receiver", ""),
        reason=request.POST.get("reason", ""),
        **times,
    )
