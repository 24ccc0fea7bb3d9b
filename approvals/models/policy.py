"""The policy's versions, and the drafts of the next."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class Policy(models.Model):
    """One published version of the approval policy. The newest counts for new rounds; each round
    keeps its own copy (A2).
    """

    version = models.PositiveIntegerField(unique=True)
    rules = models.JSONField(
        help_text="Priority → stages and deferred reviews, as approvals.policy.DEFAULT."
    )
    published_at = models.DateTimeField(default=timezone.now)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The second person, where it widened (A27).",
    )
    reason = models.TextField(blank=True, max_length=20_000)

    class Meta:
        verbose_name_plural = "policies"
        ordering = ["-version"]

    def __str__(self) -> str:
        return f"Policy {self.version}"


class PolicyDraft(models.Model):
    """A policy in the making: edited by change managers, tried out, and published, after a second
    person where it widens.
    """

    class State(models.TextChoices):
        EDITING = "editing", "Draft"
        PROPOSED = "proposed", "Waits for a second person"
        PUBLISHED = "published", "Published"
        DISCARDED = "discarded", "Discarded"

    title = models.CharField(max_length=120)
    rules = models.JSONField()
    based_on = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="drafts")
    revision = models.PositiveIntegerField(
        default=1, help_text="Grows with every edit, so that nobody writes over another's."
    )
    state = models.CharField(max_length=10, choices=State, default=State.EDITING)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="policy_drafts"
    )
    edited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField()
    edited_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return f"/settings/policy/drafts/{self.pk}/"
