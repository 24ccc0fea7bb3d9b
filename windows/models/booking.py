"""What stands in the calendar of a change: its slot, its entry in feeds, its freeze exception."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField
from django.db import models
from django.db.models import F, Func, Q, Value
from django.utils import timezone

from language.say import say_instant
from requests.models import ChangeRequest, Component


class Booking(models.Model):
    """One component of one change, taken for the time of its slot. The database lets no two
    exclusive ones overlap.
    """

    change = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="bookings")
    component = models.ForeignKey(Component, on_delete=models.PROTECT, related_name="bookings")
    during = DateTimeRangeField()
    LEAST = timedelta(minutes=1)  # a plan without a length takes at least that

    exclusive = models.BooleanField(
        default=True, help_text="False for a P0, and where the change manager overrode a conflict."
    )

    class Meta:
        constraints = [
            ExclusionConstraint(
                name="one_booking_per_component_and_time",
                expressions=[
                    (
                        Func(
                            F("component_id"), F("component_id"), Value("[]"), function="int8range"
                        ),
                        "&&",
                    ),
                    ("during", "&&"),
                ],
                condition=Q(exclusive=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.change_id} on {self.component_id}"


class FeedEntry(models.Model):
    """What calendar programs know of a change's slot: the sequence grows with each move, and a slot
    that was lost is told as cancelled.
    """

    change = models.OneToOneField(
        ChangeRequest, on_delete=models.CASCADE, related_name="feed_entry"
    )
    sequence = models.PositiveIntegerField(default=0)
    start = models.DateTimeField()
    end = models.DateTimeField()
    cancelled = models.BooleanField(default=False)
    updated_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["start"], name="feed_entry_by_start")]

    def __str__(self) -> str:
        return f"{self.change_id}, {self.sequence}"


class Feed(models.Model):
    """The address of an iCalendar feed: shown once, kept as a hash, opens nothing else, and shows
    what its owner may see now (F33).
    """

    class Kind(models.TextChoices):
        PERSONAL = "personal", "My changes"
        TEAM = "team", "A team's changes"
        PUBLIC = "public", "Windows and freezes alone"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="feeds"
    )
    kind = models.CharField(max_length=10, choices=Kind)
    team = models.CharField(max_length=80, blank=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.team}".strip()


class FreezeException(models.Model):
    """CTO and change manager together let one change into one slot inside a code freeze, never a
    blackout (A6); asked for, and each half.
    """

    change = models.ForeignKey(
        ChangeRequest, on_delete=models.CASCADE, related_name="freeze_exceptions"
    )
    slot_start = models.DateTimeField()
    reason = models.TextField(max_length=2000)
    round = models.PositiveIntegerField(
        default=1,
        help_text="Of the change: an edit of its content opens another round and ends the grant.",
    )
    cto = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    change_manager = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    lifts = ArrayField(
        models.BigIntegerField(),
        default=list,
        help_text="First keys of the freezes that stood over the slot when it was asked for.",
    )
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    declined_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    declined_at = models.DateTimeField(null=True)
    declined_reason = models.TextField(blank=True, max_length=2000)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["change", "slot_start", "round"], name="one_exception_per_slot"
            ),
            models.CheckConstraint(
                name="exception_takes_two_people", condition=~Q(cto=F("change_manager"))
            ),
        ]
        indexes = [
            models.Index(
                fields=["slot_start"],
                condition=Q(declined_at__isnull=True)
                & (Q(cto__isnull=True) | Q(change_manager__isnull=True)),
                name="exception_waiting",
            )
        ]

    def __str__(self) -> str:
        return f"{self.change_id} at {self.slot_start}"

    def get_absolute_url(self) -> str:
        return f"{self.change.get_absolute_url()}#exceptions"

    @property
    def is_granted(self) -> bool:
        return self.cto_id is not None and self.change_manager_id is not None

    @property
    def mark(self) -> str:
        """Tells this question from another one about the same slot."""
        return f"{self.round} {self.created_at.isoformat()}"

    @property
    def title(self) -> str:
        return f"{self.change.number}: the freeze exception for {say_instant(self.slot_start)}"

    @property
    def subject(self) -> str:
        return f"{self.change.number} asks for a freeze exception, {say_instant(self.slot_start)}"

    @property
    def author(self) -> Any:
        """Who asked; of those granted without being asked, who granted first."""
        return self.asked_by or self.cto or self.change_manager


def lifted_for(change: ChangeRequest, start: datetime | None) -> frozenset[int]:
    """First keys of the freezes that a granted exception lifts for this change at this slot."""
    if start is None or change.is_emergency:
        return frozenset()
    barred = {*change.authors.values_list("user", flat=True), change.implementer_id} - {None}
    granted = change.freeze_exceptions.filter(
        slot_start=start, cto__isnull=False, change_manager__isnull=False, round=change.round
    )
    granted = (
        granted.filter(declined_at=None).exclude(cto__in=barred).exclude(change_manager__in=barred)
    )
    return frozenset(key for lifts in granted.values_list("lifts", flat=True) for key in lifts)
