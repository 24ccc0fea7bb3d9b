"""The outbox."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class Message(models.Model):
    """One message to one person, due at an instant, sent at most once per key. Written in the
    transaction that causes it.
    """

    class State(models.TextChoices):
        DUE = "due", "Due"
        SENDING = "sending", "Sending"
        SENT = "sent", "Sent"
        DEAD = "dead", "Given up"
        CANCELLED = "cancelled", "No longer true"
        GATHERED = "gathered", "In a digest"

    key = models.CharField(
        max_length=200,
        unique=True,
        help_text="What makes it one message: kind, object, occasion, person.",
    )
    kind = models.CharField(max_length=40)
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    change_id = models.BigIntegerField(null=True)
    digest = models.BooleanField(
        default=False, help_text="Goes out with others in its person's mail of the day."
    )
    subject = models.CharField(max_length=250)
    body = models.TextField()
    due_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.DUE)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    late = models.BooleanField(default=False)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["due_at", "id"],
                name="message_waiting",
                condition=Q(state__in=["due", "sending"]),
            ),
            models.Index(fields=["change_id", "id"], name="message_by_change"),
        ]

    def __str__(self) -> str:
        return self.key
