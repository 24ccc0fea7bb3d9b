"""Calendar rules as data, and bookings."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Max, Q

from windows.calendar import verdict


def default_window_priorities() -> list[str]:
    """Whom a window lets in unless it says otherwise: all that is planned."""
    return ["P1", "P2", "P3"]


def default_admitted() -> list[str]:
    """Whom a closure lets through unless it says otherwise: emergencies."""
    return ["P0"]


class VersionQuerySet(models.QuerySet[Any]):
    """Versions of rules, by when they count."""

    def since(self, at: datetime) -> Self:
        """The versions that counted at that instant, or count later."""
        return self.filter(Q(till__isnull=True) | Q(till__gt=at))

    def in_force(self) -> Self:
        return self.filter(till__isnull=True)


class Version(models.Model):
    """One version of a calendar rule. An edit ends it and begins the next; what was open last month
    stays known (promise 7).
    """

    name = models.CharField(max_length=80)
    scope = ArrayField(
        models.CharField(max_length=60),
        default=list,
        blank=True,
        help_text="Component names; empty means all.",
    )
    line = models.BigIntegerField(
        default=0, help_text="Key of the first version of the same rule; 0 for that one itself."
    )
    since = models.DateTimeField(
        null=True, blank=True, help_text="Counts from then on; empty: ever since."
    )
    till = models.DateTimeField(
        null=True, blank=True, help_text="Counted until then; empty: in force."
    )
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reason = models.TextField(blank=True, max_length=2000)

    objects = VersionQuerySet.as_manager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name

    @property
    def first_key(self) -> int:
        return self.line or self.pk


class MaintenanceWindow(Version):
    """A window in which changes may be implemented (R72, R73): recurring, or without a rule one
    opening alone.
    """

    rule = models.CharField(
        max_length=200,
        blank=True,
        help_text="RFC 5545 recurrence, daily or coarser, like FREQ=WEEKLY;BYDAY=TU.",
    )
    begins = models.DateTimeField(
        help_text=(
            "First start, read as local time of the zone; its time of day is that of every"
            " occurrence."
        )
    )
    minutes = models.PositiveIntegerField()
    zone = models.CharField(max_length=60, default="UTC")
    priorities = ArrayField(models.CharField(max_length=2), default=default_window_priorities)
    capacity = models.PositiveSmallIntegerField(null=True, blank=True)
    until = models.DateField(null=True, blank=True)
    skips = ArrayField(
        models.DateField(),
        default=list,
        blank=True,
        help_text="Local days on which it does not open.",
    )

    kind = "window"

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="window_has_length", condition=Q(minutes__gt=0, minutes__lte=1440)
            ),
            models.UniqueConstraint(
                fields=["name"], condition=Q(till__isnull=True), name="one_window_of_a_name"
            ),
        ]
        indexes = [models.Index(fields=["till"], name="window_by_end")]

    @property
    def is_once(self) -> bool:
        return self.value().is_once

    def value(self) -> verdict.Window:
        return verdict.Window(
            name=self.name,
            rule=self.rule,
            begins=self.begins.replace(tzinfo=None),
            minutes=self.minutes,
            zone=self.zone,
            priorities=frozenset(self.priorities),
            scope=frozenset(self.scope),
            capacity=self.capacity,
            until=self.until,
            skips=frozenset(self.skips),
            since=self.since,
            till=self.till,
            key=self.first_key or 0,
        )


class Closure(Version):
    """A code freeze or a blackout period (R75, R76): both admit only P0 by default, and stay
    separate kinds (A6). Or a lockdown: all that is planned is stopped until somebody lifts it.
    """

    class Kind(models.TextChoices):
        FREEZE = "freeze", "Code freeze"
        BLACKOUT = "blackout", "Blackout"
        LOCKDOWN = "lockdown", "Lockdown"

    kind = models.CharField(max_length=10, choices=Kind)
    first = models.JSONField(
        null=True, blank=True, help_text="The first day, as windows.calendar.Day takes it."
    )
    last = models.JSONField(null=True, blank=True, help_text="The last day, inclusive.")
    starts_at = models.DateTimeField(
        null=True, blank=True, help_text="Instead of days: once, from this instant on."
    )
    ends_at = models.DateTimeField(null=True, blank=True)
    admits = ArrayField(models.CharField(max_length=2), default=default_admitted)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=Q(till__isnull=True) & ~Q(kind="lockdown"),
                name="one_closure_of_a_name",
            ),
            models.CheckConstraint(
                name="closure_by_days_or_instants",
                condition=Q(starts_at__isnull=True, first__isnull=False, last__isnull=False)
                | Q(starts_at__isnull=False, first__isnull=True, last__isnull=True),
            ),
            models.CheckConstraint(
                name="closure_ends",
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")),
            ),
            models.CheckConstraint(
                name="only_a_lockdown_has_no_end",
                condition=Q(starts_at__isnull=True) | Q(ends_at__isnull=False) | Q(kind="lockdown"),
            ),
        ]
        indexes = [models.Index(fields=["till"], name="closure_by_end")]

    @property
    def is_once(self) -> bool:
        return self.starts_at is not None

    def value(self) -> verdict.Closure:
        return verdict.Closure(
            name=self.name,
            kind=self.kind,
            first=verdict.Day(**self.first) if self.first else None,
            last=verdict.Day(**self.last) if self.last else None,
            zones=tuple(settings.SHOP_TIME_ZONES),
            admits=frozenset(self.admits),
            scope=frozenset(self.scope),
            starts=self.starts_at,
            ends=self.ends_at,
            since=self.since,
            till=self.till,
            key=self.first_key or 0,
        )


def last_edit() -> datetime | None:
    """When the rules were edited last."""
    found = [
        model.objects.aggregate(since=Max("since"), till=Max("till"))
        for model in (MaintenanceWindow, Closure)
    ]
    return max((at for row in found for at in row.values() if at is not None), default=None)


def current_calendar() -> verdict.Calendar:
    """The rules as they are now: two queries."""
    return _calendar(MaintenanceWindow.objects.in_force(), Closure.objects.in_force())


def calendar_since(at: datetime) -> verdict.Calendar:
    """The rules as they were at that instant and ever since, each for its time: two queries."""
    return _calendar(MaintenanceWindow.objects.since(at), Closure.objects.since(at))


def _calendar(
    windows: Iterable[MaintenanceWindow], closures: Iterable[Closure]
) -> verdict.Calendar:
    return verdict.Calendar(
        tuple(window.value() for window in windows), tuple(closure.value() for closure in closures)
    )


def openers(keys: Iterable[int]) -> list[int]:
    """Keys of the people who made and confirmed these one-off openings, by their first keys."""
    keys = list(keys)
    rows = (
        MaintenanceWindow.objects.in_force().filter(Q(pk__in=keys) | Q(line__in=keys))
        if keys
        else []
    )
    return sorted(
        {person for row in rows for person in (row.made_by_id, row.confirmed_by_id) if person}
    )
