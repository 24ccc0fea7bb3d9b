"""Home is by role: what waits, what runs, what is mine and what blocks it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Case, Count, F, Prefetch, Q, When
from django.utils import timezone

from accounts.models import Duty, User
from accounts.roles import Role
from approvals.deciding import late_records, telephone
from approvals.models import Step
from approvals.people import duty_handover, staffing, who_decides
from approvals.rounds.submission import submit_problems
from implementation.models import Review
from implementation.review import reviews
from language.say import say_instant, say_length, say_span
from pages.shell import MANY, badge
from proposals import second_person
from reports import reporting
from requests.models import ChangeRequest
from requests.risk import Record
from requests.states import OPEN, RUNNING, State
from windows.booking import exceptions_shown
from windows.calendar.verdict import HORIZON, closure_occurrences, open_stretches, window_at
from windows.models import current_calendar
from windows.rules import rules

MINE = 8
FIGURES_FOR = (Role.MANAGER, Role.CHANGE_MANAGER, Role.CTO, Role.ENGINEERING_MANAGER, Role.AUDITOR)


#: What a role has no share in stays empty.
NOTHING: dict[str, Any] = dict.fromkeys(
    (
        "waiting",
        "mine",
        "asked",
        "reviews",
        "handovers",
        "proposals",
        "unauthorised",
        "upcoming",
        "late_records",
        "missing",
    ),
    (),
) | dict.fromkeys(
    (
        "vacant",
        "stuck",
        "calendar_not_looked_at",
        "figures",
        "somebody_is_cto",
        "mine_count",
        "mine_waiting",
    )
)


def context_for(user: User) -> dict[str, Any]:
    """Everything that the home page shows, in a fixed number of queries."""
    now = timezone.now()
    duties = list(Duty.objects.current().select_related("user"))
    missing = [kind.label for kind in Duty.Kind if not any(duty.kind == kind for duty in duties)]
    context = NOTHING | {
        "greeting": _greeting(now.hour),
        "duties": duties,
        "duties_missing": missing,
    }
    if missing:
        ctos = User.objects.filter(groups__name=Role.CTO, is_active=True)
        context["somebody_is_cto"] = ctos.exists()
    context |= _windows(user) | {"running": _running(user)}
    if user.may_write:
        context |= _asked_of(user)
    if user.is_devops:
        context |= _to_run(user)
    if user.may_write and (user.has_role(Role.CHANGE_MANAGER) or user.is_superuser):
        context |= _to_look_after() | {"late_records": list(late_records.waiting_for(user)[:5])}
    if user.is_superuser:
        context["missing"] = staffing.still_missing()
    if user.has_role(*FIGURES_FOR):
        month = now.date().replace(day=1)
        context["figures"] = reporting.report_for(month) | {"title_month": f"{now:%B}"}
    context["sentence"] = _sentence(context, user)
    return context


def _running(user: User) -> list[ChangeRequest]:
    """What runs now, for those who run and those who look after the platform."""
    if not (user.is_devops or user.has_role(*FIGURES_FOR)):
        return []
    running = ChangeRequest.objects.visible_to(user).filter(state__in=RUNNING)
    return list(running.select_related("implementer").order_by("started_at")[:10])


def _asked_of(user: User) -> dict[str, Any]:
    """What waits for this person's answer, and their own changes."""
    queue = who_decides.waiting_for(user)
    waiting = list(queue.select_related("change__requester")[:5])
    counted = queue.values_list("pk", flat=True).order_by()[: MANY + 1] if len(waiting) == 5 else ()
    own = ChangeRequest.objects.filter(requester=user, state__in=OPEN)
    return own.aggregate(
        mine_count=Count("id"), mine_waiting=Count("id", filter=Q(state__in=ASKING))
    ) | {
        "waiting": waiting,
        "waiting_many": badge(len(counted)) if counted else str(len(waiting)),
        "mine": _mine(user),
        "asked": list(telephone.waiting_for(user)[:5]),
        "reviews": _reviews(user),
        "handovers": list(duty_handover.waiting_for(user)[:5]),
        "proposals": [*exceptions_shown.waiting_for(user), *second_person.waiting_for(user)[:5]],
    }


def _to_run(user: User) -> dict[str, Any]:
    """What is booked next or may start, and the emergencies that whoever is on call may start."""
    visible = ChangeRequest.objects.visible_to(user)
    ready = visible.filter(Q(state=State.SCHEDULED) | Q(state=State.APPROVED, priority="P0"))
    ready = ready.select_related("implementer").prefetch_related("components")
    urgent = visible.filter(state=State.IN_REVIEW, priority="P0").select_related("requester")
    on_call = user.has_role(Role.ON_CALL_ENGINEER)
    return {
        "unauthorised": list(urgent.order_by("submitted_at", "id")[:5]) if on_call else [],
        "upcoming": list(ready.order_by(F("slot_start").asc(nulls_first=True), "id")[:5]),
    }


def _to_look_after() -> dict[str, Any]:
    """What a change manager looks after: a calendar nobody has looked at, approvals that nobody can
    give or that have waited too long.
    """
    open_ones = Step.objects.filter(
        state__in=[Step.State.OPEN, Step.State.WAITING], change__state=State.IN_REVIEW
    )
    counts = open_ones.aggregate(
        vacant=Count("id", filter=Q(vacant_since__isnull=False)),
        stuck=Count("id", filter=Q(vacant_since=None, escalated_at__isnull=False)),
    )
    return {**counts, "calendar_not_looked_at": not rules.is_looked_at()}


def _greeting(hour: int) -> str:
    if hour < 5:
        return "Hello"
    return "Good morning" if hour < 12 else "Good afternoon" if hour < 18 else "Good evening"


def _sentence(context: dict[str, Any], user: User) -> str:
    """The first of what this person should see to; “Nothing waits for you” only where the page
    below asks for nothing either.
    """
    if context["waiting"]:
        return _decisions(context["waiting"], context["waiting_many"])
    for name, said in ANSWERS.items():
        if context[name]:
            return said
    if context["running"]:
        return f"{len(context['running'])} running now."
    if ahead := _ahead(context["upcoming"], user):
        return ahead
    if stuck := (context["vacant"] or 0) + (context["stuck"] or 0):
        return (
            f"{stuck} approval{' waits' if stuck == 1 else 's wait'} for nobody, or for too long."
        )
    if asking := context["mine_waiting"]:
        some = "One of your changes waits" if asking == 1 else f"{asking} of your changes wait"
        return f"{some} for you."
    if context["missing"]:
        return "Something is still missing; it stands below."
    if context["calendar_not_looked_at"]:
        return "The calendar's rules wait for a look of yours."
    if any(row.change.state == State.DRAFT and row.button == "Continue" for row in context["mine"]):
        return "A draft of yours is not submitted yet."
    return "Nothing waits for you."


#: What asks for this person's answer, the most pressing first.
ANSWERS = {
    "reviews": "A review waits for you.",
    "proposals": "A second signature waits for you.",
    "handovers": "A duty is handed over to you.",
    "asked": "You are asked whether an approval given by telephone was yours.",
    "late_records": "An emergency waits for you to accept that it is recorded late.",
    "unauthorised": "An emergency waits for its authorisation.",
}


def _decisions(waiting: list[Step], many: str) -> str:
    urgent = sum(step.priority == "P0" for step in waiting)
    if len(waiting) == 1:
        return f"{'An emergency' if urgent else 'One change'} waits for your decision."
    of_them = {0: "", 1: " One of them is an emergency."}
    more = of_them.get(urgent, f" {urgent} of them are emergencies.")
    return f"{many} changes wait for your decision.{more}"


def _ahead(upcoming: list[ChangeRequest], user: User) -> str:
    """Of what is next to run: what may start now, what this person implements, what nobody
    implements yet.
    """
    if any(change.slot_start is None for change in upcoming):
        return "An emergency is authorised: it may start now."
    for change in upcoming:
        if change.implementer_id == user.pk and change.slot_start and change.slot_end:
            return (
                f"You implement {change.number}, booked for"
                f" {say_span(change.slot_start, change.slot_end)}."
            )
    nobodys = sum(change.implementer_id is None for change in upcoming)
    return (
        f"{nobodys} of the changes next to run {'has' if nobodys == 1 else 'have'} no implementer"
        " yet."
        if nobodys
        else ""
    )


def _windows(user: User) -> dict[str, Any]:
    """The next window that is really open, what is booked in it, and the closures ahead."""
    now, calendar = timezone.now(), current_calendar()
    found: dict[str, Any] = {"next_window": None, "closures": []}
    for start, end in open_stretches("P1", now, now + HORIZON, calendar):
        window = window_at(calendar, start, end)
        booked = (
            ChangeRequest.objects.visible_to(user)
            .filter(slot_start__lt=end, slot_end__gt=start, state__in=[State.SCHEDULED, *RUNNING])
            .count()
        )
        found["next_window"] = {
            "start": start,
            "end": end,
            "name": window.name if window else "",
            "booked": booked,
            "is_open": start <= now,
        }
        break
    for closure in closure_occurrences(calendar, now, now + timedelta(days=60))[:4]:
        found["closures"].append(
            {
                "name": closure.name,
                "kind": closure.kind,
                "start": closure.start,
                "last_day": closure.end - timedelta(seconds=1),
            }
        )
    return found


#: States in which a change waits for its requester.
ASKING = (State.CHANGES_REQUESTED, State.APPROVED, State.COMPLETED, State.ROLLED_BACK, State.FAILED)


def _mine(user: User) -> list[Own]:
    """My open changes, each with what blocks it and what to do next: what runs or waits for me
    before what others do, drafts last.
    """
    steps = Prefetch(
        "steps",
        queryset=Step.objects.filter(state__in=["open", "waiting"]).order_by("stage", "position"),
        to_attr="open_steps",
    )
    reviews = Prefetch(
        "reviews", queryset=Review.objects.filter(superseded=False), to_attr="current_reviews"
    )
    soon = Q(state=State.SCHEDULED, slot_start__lte=timezone.now() + timedelta(days=1))
    rank = Case(
        When(soon | Q(state__in=RUNNING), then=0),
        When(state__in=ASKING, then=1),
        When(state=State.SCHEDULED, then=2),
        When(state=State.IN_REVIEW, then=3),
        default=4,
    )
    changes = ChangeRequest.objects.filter(requester=user, state__in=OPEN).prefetch_related(
        steps, reviews, "components"
    )
    ordered = changes.order_by(rank, F("slot_start").asc(nulls_last=True), "-created_at", "-id")
    return [_own(change) for change in ordered[:MINE]]


def _reviews(user: User) -> list[dict[str, Any]]:
    """The reviews that wait for this person, the most pressing first."""
    now = timezone.now()
    return [
        {
            "review": review,
            "change": review.change,
            "confirm": review.written_at is not None,
            "late": review.due_at <= now,
        }
        for review in reviews.waiting_for(user)[:5]
    ]


@dataclass(frozen=True)
class Own:
    """One of my changes: where it stands in a sentence, and where its button leads."""

    change: ChangeRequest
    icon: str
    sentence: str
    button: str
    href: str
    tone: str = ""


def _of_draft(change: ChangeRequest) -> str:
    missing = list(submit_problems(change, Record()))
    if not missing:
        return "Complete: submit it."
    named = ", ".join(missing[:3]).replace("_", " ")
    return f"{len(missing)} field{'' if len(missing) == 1 else 's'} to put right: {named}."


def _in_review(change: ChangeRequest) -> str:
    steps = getattr(change, "open_steps", [])
    asked = [step for step in steps if step.state == "open" and step.round == change.round]
    waits = ", ".join(dict.fromkeys(step.label.lower() for step in asked))
    return f"Waits for {waits}." if waits else "In review."


def _own(change: ChangeRequest) -> Own:
    """One sentence and one button for one of my changes."""
    page = change.get_absolute_url()
    run = f"{page}implementation/"
    match change.state:
        case State.DRAFT if asked := late_records.refusal(change):
            return Own(change, "hourglass", asked[0].message, "Open", page)
        case State.DRAFT:
            return Own(change, "list-checks", _of_draft(change), "Continue", f"{page}edit")
        case State.CHANGES_REQUESTED:
            return Own(change, "message-square", "A reviewer asks for changes.", "Answer", page)
        case State.IN_REVIEW:
            return Own(change, "hourglass", _in_review(change), "", page)
        case State.APPROVED if change.is_emergency:
            return Own(change, "siren", "Authorised: it may start at once.", "Open", run, "danger")
        case State.APPROVED:
            text = "Approved, without a slot."
            return Own(change, "calendar-clock", text, "Pick a slot", f"{page}#slots")
        case State.SCHEDULED if change.slot_start and change.slot_end:
            return Own(change, "check", f"Starts {say_instant(change.slot_start)}.", "", page)
        case State.COMPLETED | State.ROLLED_BACK | State.FAILED:
            return _review_owed(change, page)
        case _:
            span = (
                say_span(change.slot_start, change.slot_end)
                if change.slot_start and change.slot_end
                else "now"
            )
            return Own(change, "play", f"Running, {span}.", "Open", run)


def _review_owed(change: ChangeRequest, page: str) -> Own:
    review = next(iter(getattr(change, "current_reviews", [])), None)
    if review and review.written_at is None:
        left = review.due_at - timezone.now()
        overdue = left < timedelta(0)
        said = (
            f"overdue since {say_instant(review.due_at)}"
            if overdue
            else f"due {say_instant(review.due_at)}"
        )
        text = f"The review is {said}, {say_length(left)} {'ago' if overdue else 'from now'}."
        return Own(
            change,
            "clock",
            text,
            "Write review",
            f"{page}implementation/#review",
            "warn" if overdue else "",
        )
    return Own(change, "clock", "Something is still owed before it closes.", "See", page)
