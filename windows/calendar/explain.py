"""“Is it open at T for P?”, answered in one sentence: the same in form, page, API and command (item
7).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from language.refusal import Reason
from language.say import say_instant, say_until
from windows.calendar.verdict import EMERGENCY, Calendar, decide, next_transition, window_at


@dataclass(frozen=True)
class Answer:
    """`rule` is what opens or shuts; `until` the end of that; `next_transition` when the answer
    changes, `next_start` when it may begin.
    """

    open: bool
    sentence: str
    rule: str
    until: datetime | None
    next_transition: datetime | None
    next_start: datetime | None
    reasons: tuple[Reason, ...] = ()


def explain(
    priority: str,
    at: datetime,
    calendar: Calendar,
    scope: frozenset[str] = frozenset(),
    length: timedelta = timedelta(0),
) -> Answer:
    """Whether that priority may start at that instant on these components, for so long; with the
    rule that says so.
    """
    if priority == EMERGENCY:
        return Answer(
            True, "P0 may start at any time, once authorised.", "Emergencies", None, None, at
        )
    verdict, turns = (
        decide(priority, at, at + length, calendar, scope),
        next_transition(priority, at, calendar, scope),
    )
    if verdict.allowed:
        window = window_at(calendar, at, at + length, priority, scope)
        name = window.name if window else "The window"
        ends = f" until {say_until(verdict.open_until)}" if verdict.open_until else ""
        sentence = f"{priority} may start on {say_instant(at)}: {name} is open{ends}."
        return Answer(True, sentence, name, verdict.open_until, turns, at)
    first = verdict.reasons[0]
    sentence = " ".join(reason.message for reason in verdict.reasons)
    return Answer(
        False, sentence, first.rule, first.until, turns, verdict.next_allowed_start, verdict.reasons
    )
