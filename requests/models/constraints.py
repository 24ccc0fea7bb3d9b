"""What the database itself holds of a change: its indexes, and what is true of every row."""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q

from requests.states import State

INDEXES: list[models.Index] = [
    models.Index(fields=["-created_at", "-id"], name="change_newest"),
    models.Index(fields=["state", "-created_at", "-id"], name="change_by_state"),
    models.Index(fields=["requester", "-created_at", "-id"], name="change_by_requester"),
    models.Index(fields=["priority", "-created_at", "-id"], name="change_by_priority"),
    models.Index(
        fields=["priority", "-approved_at"],
        name="change_by_approval",
        condition=Q(approved_at__isnull=False, submitted_at__isnull=False),
    ),
    models.Index(
        fields=["slot_start"], name="change_by_slot", condition=Q(slot_start__isnull=False)
    ),
    models.Index(fields=["ended_at"], name="change_by_end", condition=Q(ended_at__isnull=False)),
    models.Index(
        fields=["state", "slot_start"],
        name="change_running",
        condition=Q(state__in=["scheduled", "implementing", "verifying", "rolling_back"]),
    ),
    models.Index(
        fields=["requested_window_start"],
        name="change_held",
        condition=Q(state="in_review", requested_window_start__isnull=False),
    ),
    models.Index(
        fields=["authorised_until"],
        name="change_authorised_until",
        condition=Q(authorised_until__isnull=False, state__in=["approved", "scheduled"]),
    ),
    models.Index(
        fields=["hold_start"], name="change_by_hold", condition=Q(hold_start__isnull=False)
    ),
    models.Index(
        fields=["late_record_asked_at"],
        name="change_asked_late",
        condition=Q(late_record_asked_at__isnull=False),
    ),
    GinIndex(fields=["search"], name="change_search"),
]
CONSTRAINTS: list[models.BaseConstraint] = [
    models.CheckConstraint(name="change_state_known", condition=Q(state__in=State.values)),
    models.CheckConstraint(
        name="change_approved_is_stamped",
        condition=~Q(state__in=["approved", "scheduled"])
        | (Q(approved_at__isnull=False) & Q(approved_hash=F("content_hash")) & ~Q(content_hash="")),
    ),
    models.CheckConstraint(
        name="change_scheduled_has_slot",
        condition=~Q(state="scheduled") | Q(slot_start__isnull=False),
    ),
    models.CheckConstraint(
        name="change_started_was_approved",
        condition=~Q(
            state__in=[
                "implementing",
                "verifying",
                "rolling_back",
                "completed",
                "rolled_back",
            ]
        )
        | (
            Q(started_at__isnull=False)
            & Q(approved_at__isnull=False)
            & Q(approved_hash=F("content_hash"))
        )
        | ~Q(origin="app"),
    ),
    models.CheckConstraint(
        name="change_started_in_slot_or_p0",
        condition=~Q(state__in=["implementing", "verifying"])
        | Q(slot_start__isnull=False)
        | Q(priority="P0"),
    ),
    models.CheckConstraint(
        name="change_slot_has_length",
        condition=Q(slot_start__isnull=True) | Q(slot_end__gt=F("slot_start")),
    ),
    models.CheckConstraint(
        name="change_outcome_known",
        condition=~Q(state__in=["completed", "rolled_back", "failed", "closed"]) | ~Q(outcome=""),
    ),
]
