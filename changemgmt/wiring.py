"""Who follows whom: everything that something below sets off in something above it, in the order in
which it happens.

Imports point down only. Where what happens below must be answered above, in the same transaction,
the answer is registered here and nowhere else; docs/lifecycle.md lists the followers of
transitions, and a test compares.
"""

from __future__ import annotations

from functools import partial

from accounts.registry import people_changed, tokens_revoked
from approvals.deciding import recording
from approvals.people import stand_ins, vacancies
from approvals.policy_editor import drafts, publishing
from approvals.rounds import rounds
from implementation.evidence import evidence
from implementation.review import reviews
from notifications import outbox
from proposals import second_person
from reports import reporting
from requests import components, dependencies, redaction, watching
from requests.lifecycle import follow
from windows.booking import bookings, calendar_entries, holds
from windows.feeds import feeds
from windows.rules import rules

RELEASING = (
    "expire",
    "escalate",
    "cancel",
    "reject",
    "request_changes",
    "lapse",
    "complete",
    "finish_rollback",
    "fail",
)


def connect() -> None:
    """Called once, when Django is ready."""
    _transitions()
    _proposals()
    people_changed.connect(vacancies.after_people_changed)
    people_changed.connect(recording.after_people_changed)
    tokens_revoked.connect(feeds.on_tokens_revoked)
    outbox.check_before_gathering("approval_waiting", rounds.still_waiting)
    redaction.erases("reports", reporting.forget)


def _transitions() -> None:
    for happening in watching.WATCHED:
        follow(happening, partial(watching.moved, happening))
    for happening in dependencies.MOVED:
        follow(happening, partial(dependencies.moved, happening))
    follow("approve", bookings.book_on_approval)
    follow("revise", holds.keep)
    for happening in RELEASING:
        follow(happening, bookings.release)
    for happening in calendar_entries.MOVES:
        follow(happening, calendar_entries.follow_slot)
    follow("approve", evidence.make_checklist)
    follow("record", evidence.make_checklist)
    follow("deferred_review", reviews.close_if_nothing_owed)


def _proposals() -> None:
    second_person.register(components.KIND, components.proposals_kind)
    second_person.register(redaction.KIND, redaction.proposals_kind)
    second_person.register(rules.KIND, rules.proposals_kind)
    second_person.register(drafts.KIND, publishing.proposals_kind)
    second_person.register(stand_ins.KIND, stand_ins.proposals_kind)
