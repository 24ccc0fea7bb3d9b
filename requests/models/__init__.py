"""The models of changes: the change itself, and what stands around it."""

from requests.models.around import Comment, IdempotencyKey, Suggestion, UsualReviewer, Watch
from requests.models.change import (
    ROW,
    ChangeQuerySet,
    ChangeRequest,
)
from requests.models.component import Component, DayCounter
from requests.models.people import Author, ChangeReader, ChangeReaders
from requests.models.written import CANARY_STAGES, MAX_MINUTES, plan_length

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
