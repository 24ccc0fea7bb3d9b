"""The models of changes: the change itself, and what stands around it."""

from requests.models.around import Comment, IdempotencyKey, Suggestion, UsualReviewer, Watch
from requests.models.change import (
    CANARY_STAGES,
    MAX_MINUTES,
    ROW,
    Author,
    ChangeQuerySet,
    ChangeReader,
    ChangeReaders,
    ChangeRequest,
    plan_length,
)
from requests.models.component import Component, DayCounter

__all__ = [
    "CANARY_STAGES",
    "MAX_MINUTES",
    "ROW",
    "Author",
    "ChangeQuerySet",
    "ChangeReader",
    "ChangeReaders",
    "ChangeRequest",
    "Comment",
    "Component",
    "DayCounter",
    "IdempotencyKey",
    "Suggestion",
    "UsualReviewer",
    "Watch",
    "plan_length",
]
