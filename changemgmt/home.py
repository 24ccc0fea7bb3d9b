"""Home is by role: what waits, what runs, what is mine and what blocks it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Prefetch
from django.utils import timezone

from accounts.models import Duty, User
from accounts.roles import Role
from approvals import access, telephone
from approvals.models import Step
from implementation.models import Review
from reports import services as reports
from requests.models import ChangeRequest
from requests.say import say_instant, say_length, say_span
from requests.states import OPEN, RUNNING, State
from windows.calendar import HORIZON, closure_occurrences, open_stretches, window_at
from windows.models import current_calendar

MINE = 8
FIGURES_FOR = (Role.MANAGER, Role.CHANGE_MANAGER, Role.CTO, Role.ENGINEERING_MANAGER, Role.AUDITOR)


def context_for(user: User) -> dict[str, Any]:
    """Everything that the home page shows, in a fixed number of queries."""
    now = timezone.now()
    context: dict[str, Any] = {"greeting": _greeting(now.hour), "duties": list(Duty.objects.current().select_related("user"))}
    context |= _windows(user)
    running = ChangeRequest.objects.visible_to(user).filter(state__in=RUNNING).select_related("implementer").order_by("started_at")
    context["running"] = list(running[:10]) if user.is_devops or user.has_role(*FIGURES_FOR) else []
    if user.may_write:
        context["waiting"] = list(access.waiting_for(user).select_related("change__requester").order_by("priority", "id")[:5])
        context["mine"], context["mine_count"] = _mine(user), ChangeRequest.objects.filter(requester=user, state__in=OPEN).count()
        context["asked"] = list(telephone.waiting_for(user)[:5])
    if user.is_devops:
        upcoming = (
            ChangeRequest.objects.visible_to(user)
            .filter(state=State.SCHEDULED)
            .select_related("implementer")
            .prefetch_related("components")
        )
        context["upcoming"] = list(upcoming.order_by("slot_start", "id")[:5])
    if user.has_role(*FIGURES_FOR):
        month = now.date().replace(day=1)
        context["figures"] = reports.report_for(month) | {"title_month": f"{now:%B}"}
    context["sentence"] = _sentence(context)
    return context


def _greeting(hour: int) -> str:
    return "Good morning" if 4 <= hour < 12 else "Good afternoon" if 12 <= hour < 18 else "Good evening"


def _sentence(context: dict[str, Any]) -> str:
    waiting = context.get("waiting")
    if waiting:
        urgent = sum(step.priority == "P0" for step in waiting)
        first = "One change waits" if len(waiting) == 1 else "Several changes wait" if len(waiting) >= 5 else f"{len(waiting)} changes wait"
        return f"{first} for you." + (
            " One of them is an emergency." if urgent == 1 else f" {urgent} of them are emergencies." if urgent else ""
        )
    if context["running"]:
        return f"{len(context['running'])} running now."
    answers = sum(bool(row["button"]) for row in context.get("mine", []))
    if answers:
        return "One of your changes waits for you." if answers == 1 else f"{answers} of your changes wait for you."
    return "Nothing waits for you."


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
        found["next_window"] = {"start": start, "end": end, "name": window.name if window else "", "booked": booked}
        break
    for closure in closure_occurrences(calendar, now, now + timedelta(days=60))[:4]:
        found["closures"].append(
            {"name": closure.name, "kind": closure.kind, "start": closure.start, "last_day": closure.end - timedelta(seconds=1)}
        )
    return found


def _mine(user: User) -> list[dict[str, Any]]:
    """My open changes, each with what blocks it and what to do next."""
    steps = Prefetch(
        "steps", queryset=Step.objects.filter(state__in=["open", "waiting"]).order_by("stage", "position"), to_attr="open_steps"
    )
    reviews = Prefetch("reviews", queryset=Review.objects.filter(superseded=False), to_attr="current_reviews")
    changes = ChangeRequest.objects.filter(requester=user, state__in=OPEN).prefetch_related(steps, reviews, "components")
    return [{"change": change, **_next(change)} for change in changes.order_by("-created_at", "-id")[:MINE]]


def _next(change: ChangeRequest) -> dict[str, Any]:
    """One sentence and one button for one of my changes."""
    page = change.get_absolute_url()
    match change.state:
        case State.DRAFT:
            missing = change.missing_fields()
            text = (
                f"{len(missing)} fields missing: {', '.join(list(missing)[:3]).replace('_', ' ')}." if missing else "Complete: submit it."
            )
            return {"icon": "list-checks", "sentence": text, "button": "Continue", "href": f"{page}edit"}
        case State.CHANGES_REQUESTED:
            return {"icon": "message-square", "tone": "warn", "sentence": "A reviewer asks for changes.", "button": "Answer", "href": page}
        case State.IN_REVIEW:
            waits = ", ".join(
                dict.fromkeys(
                    step.label.lower() for step in getattr(change, "open_steps", []) if step.state == "open" and step.round == change.round
                )
            )
            return {"icon": "hourglass", "sentence": f"Waits for {waits}." if waits else "In review.", "button": "", "href": page}
        case State.APPROVED:
            return {
                "icon": "calendar-clock",
                "tone": "warn",
                "sentence": "Approved, without a slot.",
                "button": "Pick a slot",
                "href": f"{page}#slots",
            }
        case State.SCHEDULED if change.slot_start and change.slot_end:
            return {"icon": "check", "sentence": f"Starts {say_instant(change.slot_start)}.", "button": "", "href": page}
        case State.COMPLETED | State.ROLLED_BACK | State.FAILED:
            return _review_owed(change, page)
        case _:
            span = say_span(change.slot_start, change.slot_end) if change.slot_start and change.slot_end else "now"
            return {"icon": "play", "sentence": f"Running, {span}.", "button": "Open", "href": f"{page}implementation/"}


def _review_owed(change: ChangeRequest, page: str) -> dict[str, Any]:
    review = next(iter(getattr(change, "current_reviews", [])), None)
    if review and review.written_at is None:
        left = review.due_at - timezone.now()
        late = left < timedelta(0)
        text = f"The review is {'overdue since' if late else 'due'} {say_instant(review.due_at)}, {say_length(left)} {'ago' if late else 'from now'}."
        return {
            "icon": "clock",
            "tone": "danger" if late else "warn",
            "sentence": text,
            "button": "Write review",
            "href": f"{page}implementation/#review",
        }
    return {"icon": "clock", "sentence": "Something is still owed before it closes.", "button": "See", "href": page}
