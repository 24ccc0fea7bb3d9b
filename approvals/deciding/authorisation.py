"""How long an emergency's authorisation holds: it is for now, and lapses unused (A32)."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Duty, User
from approvals.rounds import rounds
from language.refusal import Invalid, Reason
from language.say import say_instant
from notifications import outbox
from requests import lifecycle
from requests.models import ChangeQuerySet, ChangeRequest
from requests.states import State

HOLDS_FOR, LONGEST = 24, 72  # hours; the longer one for a vulnerability alone
WARN_BEFORE = timedelta(hours=4)
UNUSED = (State.APPROVED, State.SCHEDULED)


def hours_asked(change: ChangeRequest, hours: int | None) -> int:
    """For how many hours the giver lets it hold. Raises Invalid."""
    if hours is None:
        return HOLDS_FOR
    most = (
        LONGEST if change.emergency_kind == ChangeRequest.EmergencyKind.VULNERABILITY else HOLDS_FOR
    )
    if not HOLDS_FOR <= hours <= most:
        allowed = (
            f"between {HOLDS_FOR} and {most} hours"
            if most > HOLDS_FOR
            else f"{HOLDS_FOR} hours; more is for a vulnerability"
        )
        raise Invalid(fields={"valid_hours": f"Valid hours: an authorisation holds for {allowed}."})
    return hours


def expired_refusal(change: ChangeRequest, at: datetime) -> list[Reason]:
    """Why a start at that instant is not authorised any more."""
    until = change.authorised_until
    if not change.is_emergency or change.state not in UNUSED or until is None or at < until:
        return []
    text = f"Its authorisation held until {say_instant(until)}; it has to be authorised again."
    return [Reason("authorisation_expired", text, rule="Emergency authorisation", until=until)]


def lapsed() -> ChangeQuerySet:
    """Emergencies whose authorisation has run out unused."""
    return ChangeRequest.objects.filter(
        priority="P0", state__in=UNUSED, authorised_until__lte=timezone.now()
    ).order_by("authorised_until")


def expire(change: ChangeRequest) -> bool:
    """The clock's verb: a new round with the same content, the slot given back, and those who
    decide are asked again.
    """
    if not expired_refusal(change, timezone.now()):
        return False
    until = change.authorised_until
    assert until is not None
    lifecycle.perform(
        change,
        "expire",
        actor=None,
        reason="The authorisation was not used in time.",
        round=change.round + 1,
    )
    rounds.open_round(change)
    outbox.tell(
        _people(change),
        kind="authorisation_expired",
        occasion=f"{change.round}",
        change=change,
        subject=f"{change.number}: its authorisation has lapsed unused",
        body=(
            f"It held until {say_instant(until)}. Whoever authorises emergencies has been asked"
            " again; one click renews it."
        ),
        due_at=until,
    )
    return True


def ending() -> ChangeQuerySet:
    """Those that lapse within four hours and whose people have not been told yet."""
    now = timezone.now()
    soon = ChangeRequest.objects.filter(
        priority="P0",
        state__in=UNUSED,
        authorised_until__lte=now + WARN_BEFORE,
        authorised_until__gt=now,
    )
    return soon.filter(
        ~Q(authorisation_warned=F("authorised_until")) | Q(authorisation_warned__isnull=True)
    ).order_by("authorised_until")


def warn(change: ChangeRequest) -> bool:
    """The clock's verb: requester and on-call are told once that it lapses soon."""
    until = change.authorised_until
    if change.state not in UNUSED or until is None or change.authorisation_warned == until:
        return False
    change.authorisation_warned = until
    change.save(update_fields=["authorisation_warned"])
    outbox.tell(
        _people(change),
        kind="authorisation_ends",
        occasion=f"{change.round} {until.isoformat()}",
        change=change,
        subject=f"{change.number}: its authorisation lapses {say_instant(until)}",
        body=f"“{change.summary}” has not been started. After that it has to be authorised again.",
        due_at=until - WARN_BEFORE,
    )
    return True


def _people(change: ChangeRequest) -> list[User]:
    on_call = Duty.objects.current().filter(kind=Duty.Kind.ON_CALL).select_related("user")
    return [
        person
        for person in (change.requester, change.implementer, *(duty.user for duty in on_call))
        if person
    ]
