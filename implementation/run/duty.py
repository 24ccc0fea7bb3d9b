"""Who is there to start a change at its slot: said before a signature bars somebody from it, and
when a slot is booked (A37).
"""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from accounts.models import Duty, User
from approvals.models import Step
from implementation.run import guards
from implementation.run.case import Case
from language.say import say_instant

ASKED = 3  # of those on duty, in their order


def starters(case: Case, at: datetime) -> list[User]:
    """The implementer, where one is named, else the first on-call engineers on duty then: those of
    them who may run it.
    """
    change = case.change
    if change.implementer:
        candidates = [change.implementer]
    else:
        duties = Duty.objects.current(at).filter(kind=Duty.Kind.ON_CALL).select_related("user")
        candidates = list(dict.fromkeys(duty.user for duty in duties))[:ASKED]
    return [person for person in candidates if person.is_devops and not _apart(case, person)]


def _apart(case: Case, person: User) -> bool:
    theirs = Case(case.change, person)
    theirs.steps = case.steps
    return bool(guards.apart_refusal(theirs))


def bars(case: Case, step: Step) -> str:
    """What signing this step takes from whoever could run the change: alone in the last stage, they
    cannot start it then (A2).
    """
    change, actor = case.change, case.actor
    if step.deferred or not actor.is_devops or not _is_alone_in_the_last_stage(case, step):
        return ""
    if change.implementer and change.implementer != actor:
        return ""  # somebody else runs it anyway
    at = change.slot_start or change.hold_start or change.requested_window_start
    duties = (
        Duty.objects.current(at or timezone.now())
        .filter(kind=Duty.Kind.ON_CALL)
        .exclude(user=actor)
        .select_related("user")
    )
    names = ", ".join(dict.fromkeys(str(duty.user) for duty in duties)) or "nobody"
    then = "on duty then" if at else "on call now"
    return f"If you sign, you cannot run it; {then}: {names}."


def _is_alone_in_the_last_stage(case: Case, step: Step) -> bool:
    required = [other for other in case.steps if not other.deferred]
    last = max(other.stage for other in required)
    return (
        step.stage == last
        and sum(other.quorum.size for other in required if other.stage == last) == 1
    )


def warning(case: Case) -> str:
    """Of a booked change: that nobody who may start it is there at its slot; or nothing."""
    change = case.change
    if change.slot_start is None or starters(case, change.slot_start):
        return ""
    if change.implementer:
        return (
            f"{change.implementer}, who implements it, may not start it: name somebody else, or"
            " have it taken over."
        )
    return (
        f"Nobody who may start it is on duty then ({say_instant(change.slot_start)}): name an"
        " implementer, or see to the on-call duty."
    )
