"""What the requester wrote: a change's content, in the template's order (requests/content.py)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import models

from requests import content
from requests.models.component import Component

CANARY_STAGES = timedelta(minutes=90)  # 5, 25 and 50 %, 30 minutes each (R85-R87)
MAX_MINUTES = 100_000


def plan_length(work: int | None, rollback: int | None, strategy: str) -> timedelta:
    """Work + canary stages + rollback, of minutes: what must fit before the window's end (A25)."""
    canary = CANARY_STAGES if strategy == Written.Strategy.CANARY else timedelta(0)
    return timedelta(minutes=(work or 0) + (rollback or 0)) + canary


class Written(models.Model):
    """The content that is submitted, hashed, approved and compared; `ChangeRequest` adds how it
    goes on.
    """

    class Priority(models.TextChoices):
        P0 = "P0", "P0 Emergency"
        P1 = "P1", "P1 Standard"
        P2 = "P2", "P2 Standard"
        P3 = "P3", "P3 Normal"

    class Risk(models.TextChoices):
        LOW = "low", "Low"
        MEDIUM = "medium", "Medium"
        HIGH = "high", "High"

    class Strategy(models.TextChoices):
        ROLLING = "rolling", "Rolling"
        BLUE_GREEN = "blue_green", "Blue-green"
        CANARY = "canary", "Canary"
        DATABASE = "database", "Database"
        MANUAL = "manual", "Manual"

    class NoWayBack(models.TextChoices):
        UNDO = "undo", "It cannot be undone"
        TEST = "test", "Undoing it cannot be tested"

    class EmergencyKind(models.TextChoices):
        OUTAGE = "outage", "Production outage"
        VULNERABILITY = "vulnerability", "Security vulnerability"

    priority = models.CharField(max_length=2, blank=True, choices=Priority)
    emergency_kind = models.CharField(max_length=20, blank=True, choices=EmergencyKind)
    emergency_reference = models.CharField(max_length=200, blank=True)
    actual_start = models.DateTimeField(
        null=True, blank=True, help_text="Of a P0 filed while it runs or afterwards (A33)."
    )
    actual_end = models.DateTimeField(null=True, blank=True)
    summary = models.CharField(max_length=200, blank=True)
    reason = models.TextField(blank=True)
    components = models.ManyToManyField(Component, blank=True, related_name="changes")
    risk = models.CharField(max_length=6, blank=True, choices=Risk)
    implementation_steps = models.TextField(blank=True)
    rollback_plan = models.TextField(blank=True)
    rollback_tested = models.JSONField(null=True, blank=True)
    rollback_minutes = models.PositiveIntegerField(null=True, blank=True)
    testing_plan = models.TextField(blank=True)
    dependencies = models.JSONField(null=True, blank=True)
    strategy = models.CharField(max_length=12, choices=Strategy, default=Strategy.ROLLING)
    downtime_required = models.BooleanField(null=True, blank=True)
    downtime_minutes = models.PositiveIntegerField(null=True, blank=True)
    users_affected = models.BooleanField(null=True, blank=True)
    user_impact = models.TextField(blank=True)
    performance_impact = models.TextField(blank=True)
    security_impact = models.TextField(blank=True)
    affects_authentication = models.BooleanField(null=True, blank=True)
    affects_authorization = models.BooleanField(null=True, blank=True)
    affects_data_access = models.BooleanField(null=True, blank=True)
    affects_network = models.BooleanField(null=True, blank=True)
    requested_date = models.DateField(null=True, blank=True)
    estimated_minutes = models.PositiveIntegerField(null=True, blank=True)

    risk_answers = models.JSONField(
        default=dict, blank=True, help_text="The questionnaire: key → yes or no (A18)."
    )
    strategy_reason = models.TextField(
        blank=True, max_length=2000, help_text="Why a high risk does not go by canary (A18)."
    )
    no_way_back = models.CharField(
        max_length=6,
        blank=True,
        default="",
        db_default="",
        choices=NoWayBack,
        help_text="Its rollback plan then recovers forwards (A46).",
    )
    no_way_back_reason = models.TextField(blank=True, default="", db_default="", max_length=2000)

    class Meta:
        abstract = True

    def content(self) -> dict[str, Any]:
        """The content as plain values, components as slugs; what is hashed, compared and shown."""
        values = {name: getattr(self, name) for name in content.NAMES if name != "components"}
        return values | {
            "components": sorted(component.slug for component in self.components.all())
        }

    @property
    def way_back(self) -> str:
        """What its plan for the worse is called (A46)."""
        return "Recovery" if self.no_way_back else "Rollback"

    def missing_fields(self) -> dict[str, str]:
        return content.missing_fields(self.content())

    @property
    def plan_length(self) -> timedelta:
        return plan_length(self.estimated_minutes, self.rollback_minutes, self.strategy)

    @property
    def needs_security_review(self) -> bool:
        return any(getattr(self, name) for name in content.SECURITY_QUESTIONS)

    @property
    def is_emergency(self) -> bool:
        return self.priority == self.Priority.P0
