"""How risky a change is: a short questionnaire and the record of its components suggest Low, Medium
or High (A18). Pure.

Each answer's weight is shown, so that nobody wonders where a suggestion comes from. The requester
may go above it; only a reviewer goes below, with a reason (`approvals.deciding.lowered_risk`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LEVELS = ("low", "medium", "high")
MEDIUM_FROM, HIGH_FROM = 3, 7  # points
ENOUGH = 5  # changes of a year, before their record counts


@dataclass(frozen=True)
class Question:
    """One question: the answer that adds its points, and what is then said of it."""

    key: str
    words: str
    adds: bool
    points: int
    said: str


QUESTIONS = (
    Question(
        "wide",
        "Does it touch something that other systems depend on?",
        True,
        2,
        "others depend on it",
    ),
    Question("irreversible", "Would it be hard to take back?", True, 3, "hard to take back"),
    Question(
        "tested", "Was it tried before, on staging or elsewhere?", False, 2, "not tried before"
    ),
    Question("user_facing", "Would users notice if it went wrong?", True, 2, "users would notice"),
    Question("data", "Does it change data that is stored?", True, 2, "changes stored data"),
    Question("first", "Is it done for the first time?", True, 1, "done for the first time"),
)
KEYS = frozenset(question.key for question in QUESTIONS)


@dataclass(frozen=True)
class Record:
    """What became of the changes of these components in the last year."""

    total: int = 0
    undone: int = 0  # rolled back or failed


@dataclass(frozen=True)
class Suggestion:
    """The risk that the answers suggest: its level, the points, and what each line added."""

    level: str
    points: int
    lines: list[tuple[str, int]] = field(default_factory=list)


def suggest(answers: Mapping[str, bool], record: Record) -> Suggestion | None:
    """The level that answers and record suggest, with every weight that went into it; None while
    nothing was answered.
    """
    if not answers:
        return None
    lines = [
        (question.said, question.points)
        for question in QUESTIONS
        if answers.get(question.key) is question.adds
    ]
    if record.total >= ENOUGH and record.undone:
        share = record.undone / record.total
        points = 2 if share >= 0.1 else 1
        lines.append(
            (
                (
                    f"{record.undone} of {record.total} changes of its components were rolled back"
                    " or failed in a year"
                ),
                points,
            )
        )
    points = sum(weight for _, weight in lines)
    level = "high" if points >= HIGH_FROM else "medium" if points >= MEDIUM_FROM else "low"
    return Suggestion(level, points, lines)


def rank(level: str) -> int:
    """Levels as numbers, lowest first; one that is not set lies below all, so that nobody comes
    down by way of it (A35).
    """
    return LEVELS.index(level) if level in LEVELS else -1


def is_below(level: str, other: str) -> bool:
    """Whether one level lies below another; an unset one, which is asked for elsewhere, is not
    compared.
    """
    return bool(level and other) and rank(level) < rank(other)
