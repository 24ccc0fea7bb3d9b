"""Stored reports."""

from __future__ import annotations

from django.db import models
from django.db.models import Q, Value
from django.utils import timezone


class MonthlyReport(models.Model):
    """One version of a month's report, as it was: its figures, and the fingerprint of the facts
    that they came from (R122-R136).
    """

    class Status(models.TextChoices):
        PRELIMINARY = "preliminary", "Preliminary"
        ISSUED = "issued", "Issued"

    month = models.DateField(help_text="The first day of the month.")
    version = models.PositiveIntegerField()
    status = models.CharField(max_length=12, choices=Status)
    figures = models.JSONField()
    fingerprint = models.CharField(max_length=64)
    made_at = models.DateTimeField(default=timezone.now)
    issued_at = models.DateTimeField(null=True)
    moved = models.JSONField(
        default=list,
        db_default=Value([], models.JSONField()),
        help_text="{line, from, to, events}: against the version before.",
    )
    made_event = models.BigIntegerField(
        default=0, db_default=0, help_text="The trail's last event when it was made."
    )
    seen_event = models.BigIntegerField(
        default=0, help_text="The trail's last event when its facts were last looked at."
    )

    class Meta:
        ordering = ["-month", "-version"]
        constraints = [
            models.UniqueConstraint(
                fields=["month", "version"], name="one_report_per_month_and_version"
            ),
            models.CheckConstraint(
                name="report_issued_is_stamped",
                condition=~Q(status="issued") | Q(issued_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} version {self.version}"
