"""What stands around a change: comments, suggestions, watching, and requests that were answered
already.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from requests.models.change import ChangeRequest
from requests.models.component import Component


class Watch(models.Model):
    """Somebody wants to be told how a change goes on."""

    change = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="watches")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="watches"
    )

    class Meta:
        verbose_name_plural = "watches"
        constraints = [models.UniqueConstraint(fields=["user", "change"], name="watched_once")]

    def __str__(self) -> str:
        return f"{self.user_id} watches {self.change_id}"


class Comment(models.Model):
    """What somebody said on a change."""

    change = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(max_length=20_000)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"Comment on {self.change_id}"


class UsualReviewer(models.Model):
    """Who usually decides on changes of a component by a role: asked first, all others with the
    reminder.
    """

    component = models.ForeignKey(Component, on_delete=models.CASCADE, related_name="usual")
    role = models.CharField(max_length=30)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")

    class Meta:
        ordering = ["component", "role"]
        constraints = [
            models.UniqueConstraint(fields=["component", "role"], name="one_usual_person_per_role")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} for {self.role} of {self.component_id}"


class Suggestion(models.Model):
    """Exact new text for a field of a change, which its requester may take over with one click; its
    author stays free to decide.
    """

    class State(models.TextChoices):
        OPEN = "open", "Suggested"
        ACCEPTED = "accepted", "Accepted"
        DECLINED = "declined", "Declined"

    change = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="suggestions")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    field = models.CharField(max_length=40)
    before = models.TextField(
        blank=True, max_length=20_000, help_text="What the field said when it was suggested."
    )
    text = models.TextField(max_length=20_000)
    comment = models.TextField(blank=True, max_length=2_000)
    created_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                name="suggestion_answered_is_stamped",
                condition=Q(state="open", answered_at__isnull=True)
                | (~Q(state="open") & Q(answered_at__isnull=False)),
            )
        ]

    def __str__(self) -> str:
        return f"Suggestion for {self.field} of {self.change_id}"


class IdempotencyKey(models.Model):
    """A POST that was answered, so that its repetition gets the same answer and no second effect.
    Kept for a day.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="one_answer_per_key")]

    def __str__(self) -> str:
        return self.key
