"""Calendar rules as data, and bookings."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField
from django.db import models
from django.db.models import F, Func, Q, Value
from django.utils import timezone

from requests.models import ChangeRequest, Component
from windows import calendar


def default_window_priorities() -> list[str]:
    return ["P1", "P2", "P3"]


def default_admitted() -> list[str]:
    return ["P0"]


class MaintenanceWindow(models.Model):
    """A recurring window in which changes may be implemented (R72, R73)."""

    name = models.CharField(max_length=80, unique=True)
    rule = models.CharField(max_length=200, help_text="RFC 5545 recurrence, daily or coarser, like FREQ=WEEKLY;BYDAY=TU.")
    begins = models.DateTimeField(help_text="First start, read as local time of the zone; its time of day is that of every occurrence.")
    minutes = models.PositiveIntegerField()
    zone = models.CharField(max_length=60, default="UTC")
    priorities = ArrayField(models.CharField(max_length=2), default=default_window_priorities)
    scope = ArrayField(models.CharField(max_length=60), default=list, blank=True, help_text="Component names; empty means all.")
    capacity = models.PositiveSmallIntegerField(null=True, blank=True)
    until = models.DateField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.CheckConstraint(name="window_has_length", condition=Q(minutes__gt=0))]

    def __str__(self) -> str:
        return self.name

    def value(self) -> calendar.Window:
        return calendar.Window(
            name=self.name,
            rule=self.rule,
            begins=self.begins.replace(tzinfo=None),
            minutes=self.minutes,
            zone=self.zone,
            priorities=frozenset(self.priorities),
            scope=frozenset(self.scope),
            capacity=self.capacity,
            until=self.until,
        )


class Closure(models.Model):
    """A code freeze or a blackout period (R75, R76): both admit only P0 by default, and stay separate kinds (A6)."""

    class Kind(models.TextChoices):
        FREEZE = "freeze", "Code freeze"
        BLACKOUT = "blackout", "Blackout"

    name = models.CharField(max_length=80, unique=True)
    kind = models.CharField(max_length=10, choices=Kind)
    first = models.JSONField(help_text="The first day, as windows.calendar.Day takes it.")
    last = models.JSONField(help_text="The last day, inclusive.")
    admits = ArrayField(models.CharField(max_length=2), default=default_admitted)
    scope = ArrayField(models.CharField(max_length=60), default=list, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def value(self) -> calendar.Closure:
        return calendar.Closure(
            name=self.name,
            kind=self.kind,
            first=calendar.Day(**self.first),
            last=calendar.Day(**self.last),
            zones=tuple(settings.SHOP_TIME_ZONES),
            admits=frozenset(self.admits),
            scope=frozenset(self.scope),
        )


def current_calendar() -> calendar.Calendar:
    """The rules as they are now: two queries."""
    return calendar.Calendar(
        windows=tuple(window.value() for window in MaintenanceWindow.objects.all()),
        closures=tuple(closure.value() for closure in Closure.objects.all()),
    )


class Booking(models.Model):
    """One component of one change, taken for the time of its slot. The database lets no two exclusive ones overlap."""

    change = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="bookings")
    component = models.ForeignKey(Component, on_delete=models.PROTECT, related_name="bookings")
    during = DateTimeRangeField()
    exclusive = models.BooleanField(default=True, help_text="False for a P0, and where the change manager overrode a conflict.")

    class Meta:
        constraints = [
            ExclusionConstraint(
                name="one_booking_per_component_and_time",
                expressions=[
                    (Func(F("component_id"), F("component_id"), Value("[]"), function="int8range"), "&&"),
                    ("during", "&&"),
                ],
                condition=Q(exclusive=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.change_id} on {self.component_id}"


class FreezeException(models.Model):
    """CTO and change manager together let one change into one slot inside a code freeze, never a blackout (A6)."""

    change = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="freeze_exceptions")
    slot_start = models.DateTimeField()
    reason = models.TextField(max_length=2000)
    round = models.PositiveIntegerField(
        default=1, help_text="Of the change: an edit of its content opens another round and ends the grant."
    )
    cto = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    change_manager = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["change", "slot_start", "round"], name="one_exception_per_slot"),
            models.CheckConstraint(name="exception_takes_two_people", condition=~Q(cto=F("change_manager"))),
        ]

    def __str__(self) -> str:
        return f"{self.change_id} at {self.slot_start}"

    @property
    def is_granted(self) -> bool:
        return self.cto_id is not None and self.change_manager_id is not None


def lifted_for(change: ChangeRequest, start: datetime | None) -> frozenset[str]:
    """The kinds of closure that a granted exception lifts for this change at this slot."""
    if start is None or change.is_emergency:
        return frozenset()
    barred = {*change.authors.values_list("user", flat=True), change.implementer_id} - {None}
    granted = change.freeze_exceptions.filter(slot_start=start, cto__isnull=False, change_manager__isnull=False, round=change.round)
    granted = granted.exclude(cto__in=barred).exclude(change_manager__in=barred)
    return frozenset({"freeze"}) if granted.exists() else frozenset()
