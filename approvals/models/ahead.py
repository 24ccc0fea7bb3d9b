"""Approvals signed ahead of their stage, and those by telephone that wait to be confirmed."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from approvals.models.step import Decision, Step


class Advance(models.Model):
    """A sign-off given before its stage has opened, in the visit of a review. It becomes a decision
    when the stage opens, if its giver may then still give it; an edit or an objection ends the
    round, and with it this.
    """

    class Outcome(models.TextChoices):
        COUNTED = "counted", "Counted"
        VOID = "void", "Did not count"
        TAKEN_BACK = "taken_back", "Taken back"

    step = models.ForeignKey(Step, on_delete=models.CASCADE, related_name="advances")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    principal = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Whose sign-off it is: the giver's, or who has delegated.",
    )
    version = models.PositiveIntegerField(
        help_text="Of the change as it was seen; any later one voids it."
    )
    at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, blank=True, choices=Outcome)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["step", "user"],
                condition=Q(ended_at__isnull=True),
                name="one_advance_per_person_and_step",
            ),
            models.CheckConstraint(
                name="advance_ended_has_outcome",
                condition=Q(ended_at__isnull=True, outcome="")
                | (Q(ended_at__isnull=False) & ~Q(outcome="")),
            ),
        ]

    def __str__(self) -> str:
        return f"Advance of {self.user_id} on {self.step_id}"

    def end(self, outcome: str) -> None:
        self.ended_at, self.outcome = timezone.now(), outcome
        self.save(update_fields=["ended_at", "outcome"])


class Confirmation(models.Model):
    """What the person in whose name an approval was recorded says of it: asked at once, due within
    24 hours (A4).
    """

    class Answer(models.TextChoices):
        APPROVED = "approved", "I approved"
        NOT_APPROVED = "not_approved", "I did not"

    decision = models.OneToOneField(Decision, on_delete=models.CASCADE, related_name="confirmation")
    due_at = models.DateTimeField()
    answer = models.CharField(max_length=16, blank=True, choices=Answer)
    answered_at = models.DateTimeField(null=True)
    overdue_at = models.DateTimeField(
        null=True, help_text="When the tick found it unanswered; once."
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                name="confirmation_answered_is_stamped",
                condition=Q(answer="", answered_at__isnull=True)
                | (~Q(answer="") & Q(answered_at__isnull=False)),
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], name="confirmation_owed", condition=Q(answered_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"Confirmation of {self.decision_id}"
