"""What the process allows as an exception and the report names: each kind's number, and the list
behind it, by the trail alone.
"""

from __future__ import annotations

from datetime import datetime
from functools import reduce
from operator import or_

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from audit.models import Event
from requests.models import ChangeRequest

EXCEPTIONS = {
    "short_notice": "Scheduled with less than 24 hours' notice",
    "overrides": "Conflicts overridden",
    "freeze_exceptions": "Freeze exceptions",
    "one_off_openings": "One-off openings used",
    "phone_approvals_unconfirmed": "Phone approvals not confirmed",
    "unauthorised_starts": "Emergencies started before authorisation",
    "raised_to_p0": "Raised to P0",
    "recorded_afterwards": "Emergencies recorded after they began",
    "authorisations_lapsed": "Authorisations that lapsed unused",
    "p0_not_justified": "P0 not justified, by its review",
    "reviews_waived": "Reviews waived",
    "items_not_applicable": "Approved with a checklist item marked not applicable",
    "no_way_back": "Started without a way back",
    "stand_ins": "Decided by a stand-in",
    "triggers_declined": "Rollback triggers declined",
    "monitoring_shortened": "Monitoring shortened",
    "steps_skipped": "Steps skipped",
    "untrained_starts": "Started without training",
    "overruns": "Ran past the window",
    "review_overdue": "Review or documentation later than 24 hours",
    "undocumented": "Deployments without a change",
}


STOOD_IN = (
    "approval.decide",
    "change.freeze_exception",
    "change.exception_declined",
    "change.late_record_accept",
    "implementation.review_confirm",
)


def _says(name: str) -> Q:
    """Whether an event has that text: among its words, or in its facts if it is older than they
    are.
    """
    return Q(**{f"data__digests__{name}__isnull": False}) | (
        Q(**{f"data__{name}__isnull": False}) & ~Q(**{f"data__{name}": ""})
    )


#: exception → the events that prove it
FOUND_BY = {
    "freeze_exceptions": Q(action="change.start", data__freeze_exception=True),
    "phone_approvals_unconfirmed": (
        Q(action="approval.confirmation_overdue")
        | Q(action="approval.confirm", data__answer="not_approved")
    ),
    "one_off_openings": Q(action="change.start", data__one_off=True),
    "unauthorised_starts": Q(action__in=["change.start", "change.record"], data__unauthorised=True),
    "recorded_afterwards": Q(action="change.record"),
    "authorisations_lapsed": Q(action="change.expire"),
    "raised_to_p0": (
        Q(action="change.escalate")
        | Q(action="change.revise", data__fields__priority__1="P0")
        | Q(action="change.edit", data__raised=True)
    ),
    "no_way_back": Q(action__in=["change.start", "change.record"], data__has_key="no_way_back"),
    "stand_ins": Q(action__in=STOOD_IN, data__has_key="stand_in"),
    "p0_not_justified": Q(action="implementation.review_confirm", data__p0_justified=False),
    "reviews_waived": Q(action="approval.decide", data__verdict="waive"),
    "items_not_applicable": Q(
        action="approval.decide", data__verdict="approve", data__has_key="not_applicable"
    ),
    "monitoring_shortened": Q(
        action="change.complete", data__has_key="monitoring_shortened_minutes"
    ),
    "steps_skipped": Q(
        action__in=["change.complete", "change.roll_back", "change.finish_rollback", "change.fail"],
        data__skipped__gt=0,
    ),
    "overruns": Q(action="change.overrun"),
    "review_overdue": (
        Q(action__in=["implementation.review_overdue", "implementation.documentation_overdue"])
        | Q(action__in=["implementation.review", "implementation.document"], data__late=True)
    ),
}
#: exception → what the last booking before the run says; an emergency needs no notice and stands in
#: nobody's way (A12)
BOOKED_WITH = {
    "short_notice": _says("short_notice_reason"),
    "overrides": _says("override_reason"),
}


def count(changes: list[int], start: datetime, end: datetime) -> dict[str, int]:
    """In how many of the changes, by key, each kind occurred: three aggregates.

    An approval by telephone that was denied may have stopped a change for good; it counts in the
    month `[start, end)` of the denial.
    """
    counted = {
        name: Count("change_id", distinct=True, filter=condition)
        for name, condition in FOUND_BY.items()
    }
    found = Event.objects.filter(reduce(or_, FOUND_BY.values()), change_id__in=changes).aggregate(
        **counted
    )
    booked = {name: Count("id", filter=condition) for name, condition in BOOKED_WITH.items()}
    found |= Event.objects.filter(pk__in=_last_bookings(changes).values("pk")).aggregate(**booked)
    found["phone_approvals_unconfirmed"] += (
        _stopped(start, end).values("change_id").distinct().count()
    )
    return {name: found.get(name, 0) for name in EXCEPTIONS}


def behind(
    name: str, changes: QuerySet[ChangeRequest], start: datetime, end: datetime
) -> QuerySet[ChangeRequest]:
    """The changes that `count` counts for one kind, of those whose implementation ended in `[start,
    end)`.
    """
    keys = list(changes.values_list("pk", flat=True))
    if name in BOOKED_WITH:
        events = Event.objects.filter(BOOKED_WITH[name], pk__in=_last_bookings(keys).values("pk"))
        return ChangeRequest.objects.filter(pk__in=events.values("change_id"))
    if name not in FOUND_BY:
        return ChangeRequest.objects.none()
    proof = Q(pk__in=Event.objects.filter(FOUND_BY[name], change_id__in=keys).values("change_id"))
    if name == "phone_approvals_unconfirmed":
        proof |= Q(pk__in=_stopped(start, end).values("change_id"))
    return ChangeRequest.objects.filter(proof)


def _last_bookings(changes: list[int]) -> QuerySet[Event]:
    """The slot that counts is the last one booked; a P0 runs without."""
    emergency = ChangeRequest.objects.filter(pk=OuterRef("change_id"), priority="P0")
    booked = Event.objects.filter(
        ~Exists(emergency),
        change_id__in=changes,
        action__in=["change.schedule", "change.reschedule"],
    )
    return booked.order_by("change_id", "-id").distinct("change_id")


def _stopped(start: datetime, end: datetime) -> QuerySet[Event]:
    """Unconfirmed approvals by telephone of changes that have not ended: they count when it was
    said.
    """
    ended = ChangeRequest.objects.filter(pk=OuterRef("change_id"), ended_at__isnull=False)
    return Event.objects.filter(
        ~Exists(ended), FOUND_BY["phone_approvals_unconfirmed"], at__gte=start, at__lt=end
    )
