"""What widens what is allowed, waiting for its second person (A27)."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q


class Proposal(models.Model):
    """Something that one person wants to widen. It takes effect when another confirms it; `payload`
    says to its kind what that is.
    """

    class State(models.TextChoices):
        OPEN = "open", "Waits for a second person"
        CONFIRMED = "confirmed", "Confirmed"
        DECLINED = "declined", "Declined"
        WITHDRAWN = "withdrawn", "Withdrawn"

    kind = models.CharField(max_length=30)
    subject = models.CharField(max_length=200)
    reason = models.TextField(max_length=20_000)
    widens = models.JSONField(
        default=list, help_text="Sentences: what would be allowed that is not allowed now."
    )
    payload = models.JSONField(default=dict)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="proposals"
    )
    created_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    answered_at = models.DateTimeField(null=True, blank=True)
    answer = models.TextField(
        blank=True, max_length=20_000, help_text="What the second person said."
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="proposal_answered_is_stamped",
                condition=Q(state="open", answered_at__isnull=True, answered_by__isnull=True)
                | (~Q(state="open") & Q(answered_at__isnull=False, answered_by__isnull=False)),
            ),
            # Two people: nobody confirms or declines what they proposed, and nobody else withdraws
            # it.
            models.CheckConstraint(
                name="proposal_takes_two",
                condition=Q(state="open")
                | (Q(state="withdrawn") & Q(answered_by=F("author")))
                | (Q(state__in=["confirmed", "declined"]) & ~Q(answered_by=F("author"))),
            ),
        ]
        indexes = [models.Index(fields=["-id"], name="proposal_open", condition=Q(state="open"))]

    def __str__(self) -> str:
        return self.subject

    def get_absolute_url(self) -> str:
        return f"/settings/proposals/#proposal-{self.pk}"
