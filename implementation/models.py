"""Evidence of an implementation: checklist, log, checks, issues, review, late documentation."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q, Value
from django.utils import timezone

from implementation.matrix import MATRIX, Row
from requests.models import ChangeRequest

REVIEW_WITHIN = timedelta(hours=24)  # R147
SEVERITIES = [(key, row.label) for key, row in MATRIX.items()]


class ChecklistItem(models.Model):
    """One item of a change's implementation checklist; there from approval on (R54)."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        DONE = "done", "Done"
        SKIPPED = "skipped", "Skipped"
        FAILED = "failed", "Failed"

    class Phase(models.TextChoices):
        PRE = "pre", "Before the window"
        START = "start", "Start of window"
        DURING = "during", "During implementation"
        POST = "post", "After implementation"
        ROLLBACK = "rollback", "Rollback"

    change = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="checklist")
    position = models.PositiveIntegerField()
    phase = models.CharField(max_length=10, choices=Phase)
    text = models.TextField()
    command = models.TextField(blank=True)
    level = models.PositiveSmallIntegerField(
        default=1, db_default=1, help_text="How deep it stands in the plan's list (A39)."
    )
    group = models.CharField(
        max_length=200,
        blank=True,
        db_default="",
        help_text="The heading that it stands under in the plan.",
    )
    requirement = models.CharField(max_length=20, blank=True)
    added = models.BooleanField(
        default=False, help_text="Put there by a person, not by the process."
    )
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    note = models.TextField(blank=True)
    output = models.TextField(blank=True)
    settled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["change", "position"]
        constraints = [
            models.UniqueConstraint(fields=["change", "position"], name="one_item_per_position")
        ]

    def __str__(self) -> str:
        return self.text[:60]

    @property
    def is_settled(self) -> bool:
        """Done, or skipped with a note."""
        return self.state == self.State.DONE or (
            self.state == self.State.SKIPPED and bool(self.note)
        )


class LogEntry(models.Model):
    """What somebody noted during a run: a note, or a deviation from the plan."""

    class Kind(models.TextChoices):
        NOTE = "note", "Note"
        DEVIATION = "deviation", "Deviation"

    change = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="log")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.NOTE)
    message = models.TextField()
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "log entries"

    def __str__(self) -> str:
        return self.message[:60]


class Check(models.Model):
    """A result that a person or pipeline reported; the latest of a name counts. A failed one blocks
    `complete` until accepted.
    """

    class Kind(models.TextChoices):
        HEALTH = "health", "Health check"
        SMOKE = "smoke", "Smoke tests"
        ERROR_RATE = "error_rate", "Error rate"
        LATENCY = "latency", "Response time"
        CRITICAL = "critical", "Critical functionality"
        BACKUP = "backup", "Backup"
        CUSTOM = "custom", "Other"

    change = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="checks")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=12, choices=Kind)
    passed = models.BooleanField()
    value = models.FloatField(null=True, blank=True)
    unit = models.CharField(max_length=20, blank=True)
    output = models.TextField(blank=True)
    observed_at = models.DateTimeField()
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    accepted_reason = models.TextField(blank=True)

    class Meta:
        ordering = ["observed_at", "id"]

    def __str__(self) -> str:
        return f"{self.name}: {'passed' if self.passed else 'failed'}"


class LeftRun(models.Model):
    """A run that its implementer had left, taken over by somebody who judged the change: back and
    safe at once, forward only when a second person accepts it (A37).
    """

    change = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="left_runs")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()
    at = models.DateTimeField()
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    accepted_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                name="left_run_takes_two_people", condition=~Q(accepted_by=F("by"))
            )
        ]

    def __str__(self) -> str:
        return f"{self.change_id} by {self.by_id}"


class Issue(models.Model):
    """Something that went wrong, with a severity of its own (A10), numbered within its change."""

    class Link(models.TextChoices):
        CAUSED_BY = "caused_by", "Caused by this change"
        FIXED_BY = "fixed_by", "Fixed by this change"

    change = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="issues")
    n = models.PositiveIntegerField()
    severity = models.CharField(max_length=2, choices=SEVERITIES)
    summary = models.CharField(max_length=300)
    link = models.CharField(max_length=10, choices=Link, default=Link.CAUSED_BY)
    detected_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        ordering = ["change", "n"]
        constraints = [
            models.UniqueConstraint(fields=["change", "n"], name="issues_numbered_within_change"),
            models.CheckConstraint(
                name="issue_resolved_after_detected",
                condition=Q(resolved_at__isnull=True) | Q(resolved_at__gte=F("detected_at")),
            ),
        ]
        indexes = [
            models.Index(
                fields=["resolved_at"],
                name="issue_by_resolution",
                condition=Q(resolved_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"#{self.n} {self.summary}"

    @property
    def row(self) -> Row:
        return MATRIX[self.severity]


class Review(models.Model):
    """A post-implementation review, due within 24 hours of the end (R147, A13). Made when the
    implementation ends.
    """

    change = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="reviews")
    due_at = models.DateTimeField()
    superseded = models.BooleanField(
        default=False, help_text="The change was rolled back later; a new review is owed."
    )
    summary = models.TextField(blank=True)
    deviations = models.TextField(blank=True)
    lessons = models.TextField(blank=True)
    improvements = models.TextField(blank=True)
    runbook_updated = models.BooleanField(null=True)
    written_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    written_at = models.DateTimeField(null=True)
    version = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="How often it was written (A41)."
    )
    revised_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    writers = ArrayField(
        models.BigIntegerField(),
        default=list,
        db_default=Value([], ArrayField(models.BigIntegerField())),
        help_text="Who wrote any version; none of them confirms it.",
    )
    revised_at = models.DateTimeField(
        null=True, help_text="When the last version but the first was written."
    )
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    confirmed_at = models.DateTimeField(null=True)
    p0_justified = models.BooleanField(null=True)
    overdue_at = models.DateTimeField(null=True, help_text="When the tick found it overdue; once.")
    documentation_overdue_at = models.DateTimeField(
        null=True, help_text="When the tick found an emergency's documentation overdue; once."
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["change"], condition=Q(superseded=False), name="one_current_review"
            )
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                name="review_owed",
                condition=Q(written_at__isnull=True, superseded=False),
            )
        ]

    def __str__(self) -> str:
        return f"Review of {self.change_id}"


class Documentation(models.Model):
    """What a P0 owed and supplied after its implementation (A22), versioned, outside the content
    that was authorised.
    """

    change = models.ForeignKey(
        ChangeRequest, on_delete=models.CASCADE, related_name="documentation"
    )
    version = models.PositiveIntegerField()
    values = models.JSONField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["change", "-version"]
        verbose_name_plural = "documentation"
        constraints = [
            models.UniqueConstraint(fields=["change", "version"], name="documentation_versions")
        ]

    def __str__(self) -> str:
        return f"Documentation {self.version} of {self.change_id}"
