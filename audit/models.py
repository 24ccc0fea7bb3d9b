"""The trail's tables."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from audit import words


class Event(models.Model):
    """Something that happened, once, for ever. The database refuses UPDATE, DELETE and TRUNCATE
    (migration 0002).

    People stand here as keys only, so that a name or an address can be changed or erased where it
    is kept; what they wrote stands here as salted digests, and beside it as `words` (A41).
    """

    at = models.DateTimeField()
    action = models.CharField(max_length=60)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    change_id = models.BigIntegerField(
        null=True, help_text="Key of the change that it belongs to, if any."
    )
    data = models.JSONField(default=dict)
    via = models.CharField(
        max_length=20, default="system", help_text="page, api, token:<id>, system"
    )

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["change_id", "id"]),
            models.Index(fields=["actor", "id"]),
            models.Index(fields=["action", "id"]),
            models.Index(fields=["at", "id"]),
        ]

    def __str__(self) -> str:
        return f"{self.action} at {self.at:%Y-%m-%d %H:%M:%S}"

    @property
    def digests(self) -> dict[str, str]:
        """Of each text that belongs to it, by place."""
        return dict(self.data.get(words.DIGESTS, {}))

    @property
    def has_texts(self) -> bool:
        """Whether somebody wrote something in it, that is not redacted."""
        return bool(self.digests) and any(text.strip() for text in words.strings(self.words.texts))

    @property
    def said(self) -> dict[str, Any]:
        """Its facts and words together, as they were recorded; select `words` with it."""
        return words.merge(self.data, self.words.texts) if self.digests else self.data


class Words(models.Model):
    """What people wrote in an event, by place. The database refuses all but a redaction: `null` for
    a text and its salt (migration 0005).
    """

    event = models.OneToOneField(
        Event, on_delete=models.DO_NOTHING, primary_key=True, related_name="words"
    )
    texts = models.JSONField()
    salts = models.JSONField()

    class Meta:
        ordering = ["event"]
        verbose_name_plural = "words"

    def __str__(self) -> str:
        return f"Words of {self.event_id}"


class Redaction(models.Model):
    """Two people took a text of an event out of the system, and why (A41). Append-only, like the
    trail.
    """

    words = models.ForeignKey(Words, on_delete=models.DO_NOTHING, related_name="redactions")
    place = models.CharField(max_length=100)
    at = models.DateTimeField()
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    reason = models.TextField(max_length=20_000)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["words", "place"], name="redacted_once"),
            models.CheckConstraint(
                name="redaction_takes_two", condition=~Q(proposed_by=F("confirmed_by"))
            ),
            models.CheckConstraint(name="redaction_says_why", condition=~Q(reason="")),
        ]

    def __str__(self) -> str:
        return f"{self.place} of {self.words_id}"


class Link(models.Model):
    """An event's place in the hash chain, made by the database when the event's transaction
    commits.
    """

    position = models.BigIntegerField(primary_key=True)
    event = models.OneToOneField(Event, on_delete=models.DO_NOTHING, related_name="link")
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return f"{self.position}: {self.hash[:12]}"


class Head(models.Model):
    """Where the chain ends: one row, locked for the moment of a commit. Made on first use."""

    only_row = models.BooleanField(primary_key=True, default=True)
    position = models.BigIntegerField()
    hash = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="audit_has_one_head", condition=models.Q(only_row=True))
        ]

    def __str__(self) -> str:
        return f"{self.position}: {self.hash[:12]}"
