"""What the form says beside what is typed: the steps ahead, the window, the risk that follows."""

from __future__ import annotations

from datetime import UTC, datetime, time
from difflib import get_close_matches
from typing import Any

from django.utils import timezone

from accounts.models import User
from approvals.people import vacancies
from approvals.policy import policy
from approvals.rounds import rounds
from implementation.run.steps import steps_of
from language import reading
from pages.request_form import forms
from requests import cleaning, content, risk
from requests.components import record_of
from requests.models import ChangeRequest, Component
from requests.states import State
from windows.booking import forecast, slots
from windows.booking.beginning import locked_out
from windows.booking.questions import Around, Bookable, may_be_booked, needs_notice


def preview_of(user: User, values: dict[str, Any], change: ChangeRequest | None) -> dict[str, Any]:
    """What the priority needs, who will be asked, and what the calendar says: from what is typed so
    far, wrong fields left out.
    """
    known, picked = known_of(user, values)
    plain = plain_of(known, picked)
    facts = policy.Facts(
        known.priority or "P2",
        known.needs_security_review,
        any(c.security_review for c in picked),
        bool(known.downtime_required),
        bool(known.users_affected),
        known.risk,
        frozenset(c.slug for c in picked),
    )
    return {
        "progress": forms.section_progress(plain),
        "ahead": {
            name: steps_of(getattr(known, name))
            for name in ("implementation_steps", "rollback_plan")
        },
        "asked": (plans := policy.plan(rounds.current_rules(), facts)),
        "nobody": (
            vacancies.nobody_for(plans, change.requester if change else user)
            if known.priority
            else []
        ),
        "shown_priority": known.priority,
        **_suggestion(known, picked),
        "component_note": _component_note(values.get("components", "")),
        **_when(known, picked, change, user),
    }


def _when(
    known: ChangeRequest, picked: list[Component], change: ChangeRequest | None, user: User
) -> dict[str, Any]:
    """What the calendar says of the window asked for, and when what is typed so far would probably
    be live.
    """
    plan = slots.Plan(
        known.priority,
        {component.pk: component.slug for component in picked},
        known.plan_length,
        change=change,
        from_day=known.requested_date,
        canary=known.strategy == ChangeRequest.Strategy.CANARY,
        implementer=change.implementer if change else None,
    )
    state = change.state if change else State.DRAFT
    wanted, short = known.requested_window_start, bool(known.requested_window_reason.strip())
    found = forecast.ahead(
        plan, state, change.submitted_at if change else None, reader=user, short_notice=short
    )
    bookable = _bookable(plan, wanted, found.around if found else None, user)
    early = found is not None and (
        found.earlier
        or (bookable and bookable.allowed and found.reach and bookable.start < found.reach)
    )
    return {
        "forecast": found,
        "bookable": bookable,
        "held": locked_out(plan.priority, plan.scope) if found and not plan.is_emergency else [],
        "why_not_earlier": (
            forecast.not_in_reach(state, plan.priority, short_notice=short) if early else ""
        ),
        "asks_why": (
            wanted is not None
            and wanted > timezone.now()
            and needs_notice(plan.priority, wanted)
            and not short
        ),
    }


def _bookable(
    plan: slots.Plan, wanted: datetime | None, around: Around | None, user: User
) -> Bookable | None:
    """The answer for the window asked for; without one for the day asked for, where a freeze or
    blackout shuts it.
    """
    start = wanted or (datetime.combine(plan.from_day, time(0), UTC) if plan.from_day else None)
    if start is None or not plan.priority:
        return None
    found = may_be_booked(
        plan,
        start,
        around if around and around.covers(start) else Around.slot(plan, start, reader=user),
    )
    return found if wanted or found.is_closed else None


def _component_note(text: Any) -> str:
    """What is wrong with the components typed so far, with the names that were probably meant
    (X17).
    """
    names = reading.names(str(text))
    if not names:
        return ""
    known = set(Component.objects.filter(slug__in=names).values_list("slug", flat=True))
    unknown = [name for name in names if name not in known][:3]
    if not unknown:
        return ""
    catalogue = list(
        Component.objects.filter(retired_at=None).values_list("slug", flat=True)[:2000]
    )
    near = {name: get_close_matches(name, catalogue, 1) for name in unknown}
    return " ".join(
        "There is no component"
        f" “{name[:60]}”{f'; did you mean {near[name][0]}?' if near[name] else '.'}"
        for name in unknown
    )


def _suggestion(known: ChangeRequest, picked: list[Component]) -> dict[str, Any]:
    """What the answers so far suggest, and whether the level chosen is below it (A18)."""
    suggested = risk.suggest(known.risk_answers, record_of(picked)) if known.risk_answers else None
    below = suggested is not None and risk.is_below(known.risk, suggested.level)
    return {"suggested": suggested, "chosen": known.risk, "below": below}


def known_of(user: User, values: dict[str, Any]) -> tuple[ChangeRequest, list[Component]]:
    """The change as far as what is typed can be taken, unsaved, and its components."""
    known = ChangeRequest(requester=user)
    picked: list[Component] = []
    for name, value in as_posted(values).items():
        try:
            cleaned = cleaning.CLEANERS[name](value)
        except reading.Wrong:
            continue
        if name == "components":
            picked = cleaned
        elif name == "requested_window":
            known.requested_window_start, known.requested_window_reason = cleaned or (None, "")
        else:
            setattr(known, name, cleaned)
    return known, picked


def plain_of(known: ChangeRequest, picked: list[Component]) -> dict[str, Any]:
    """Its content by name, as `requests.content` judges it."""
    return {name: getattr(known, name) for name in content.NAMES if name != "components"} | {
        "components": [c.slug for c in picked]
    }


def as_posted(values: dict[str, Any]) -> dict[str, Any]:
    from django.http import QueryDict

    post = QueryDict(mutable=True)
    for name, value in values.items():
        if name not in ("confidential", "major") and isinstance(value, (str, int)):
            post[name] = str(value)
    return {
        name: value for name, value in forms.values_from(post).items() if name in cleaning.CLEANERS
    }
