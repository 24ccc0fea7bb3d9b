"""A believable past, in bulk: closed changes with steps, decisions, reviews, issues and their audit trail, by COPY.

Deterministic: the same seed, number and months give the same history (relative to today).
"""

from __future__ import annotations

import io
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from approvals import policy
from changemgmt.demo import stories
from requests import content
from requests.models import Component
from windows.calendar import open_stretches
from windows.models import current_calendar

BATCH = 5000
MIX = {"P0": 0.03, "P1": 0.2, "P2": 0.42, "P3": 0.35}
SIGNERS = {"engineering-manager": "eng-manager", "devops-lead": "devops-lead", "cto": "cto", "emergency-contact": "emergency-contact"}
DECIDERS = {"technical": "tech-lead", "security": "security", "business": "product-manager"}

TABLES = {
    "requests_changerequest": (
        "id",
        "number",
        "state",
        "outcome",
        "origin",
        "version",
        "round",
        "content_hash",
        "approved_hash",
        "priority",
        "emergency_kind",
        "emergency_reference",
        "summary",
        "reason",
        "risk",
        "implementation_steps",
        "rollback_plan",
        "rollback_tested",
        "rollback_minutes",
        "testing_plan",
        "dependencies",
        "strategy",
        "downtime_required",
        "downtime_minutes",
        "users_affected",
        "user_impact",
        "performance_impact",
        "security_impact",
        "affects_authentication",
        "affects_authorization",
        "affects_data_access",
        "affects_network",
        "requested_date",
        "estimated_minutes",
        "external_refs",
        "implementer_id",
        "confidential",
        "major",
        "requester_id",
        "requester_role",
        "decider_roles",
        "slot_start",
        "slot_end",
        "window_name",
        "window_start",
        "window_end",
        "slots_missed",
        "created_at",
        "submitted_at",
        "approved_at",
        "started_at",
        "finished_at",
        "completed_at",
        "rollback_started_at",
        "ended_at",
        "closed_at",
        "updated_at",
    ),
    "requests_changerequest_components": ("changerequest_id", "component_id"),
    "requests_author": ("change_id", "user_id"),
    "approvals_step": (
        "id",
        "change_id",
        "round",
        "stage",
        "position",
        "kind",
        "roles",
        "mode",
        "checklist",
        "waivable",
        "deferred",
        "state",
        "content_hash",
        "opened_at",
        "settled_at",
        "priority",
    ),
    "approvals_decision": (
        "id",
        "step_id",
        "change_id",
        "round",
        "stage",
        "deferred",
        "actor_id",
        "role",
        "roles_held",
        "verdict",
        "comment",
        "checklist",
        "content_hash",
        "at",
    ),
    "implementation_issue": ("change_id", "n", "severity", "summary", "link", "detected_at", "resolved_at", "by_id"),
    "implementation_review": (
        "change_id",
        "due_at",
        "superseded",
        "summary",
        "deviations",
        "lessons",
        "improvements",
        "runbook_updated",
        "written_by_id",
        "written_at",
        "confirmed_by_id",
        "confirmed_at",
        "p0_justified",
        "overdue_at",
    ),
    "audit_event": ("id", "at", "action", "actor_id", "change_id", "data", "via"),
}


@dataclass
class Bulk:
    """Rows waiting to be copied, per table."""

    rows: dict[str, list[tuple[Any, ...]]] = field(default_factory=lambda: defaultdict(list))
    events: list[tuple[datetime, str, int | None, int, str]] = field(default_factory=list)
    first_event: int = 0
    texts: dict[str, str] = field(default_factory=dict)

    def write(self) -> None:
        """Turn the rows into COPY's text."""
        self.texts = {table: "".join("\t".join(map(_cell, row)) + "\n" for row in rows) for table, rows in self.rows.items() if rows}
        self.rows.clear()
        self.events.clear()

    def add(self, table: str, *values: Any) -> None:
        self.rows[table].append(values)

    def event(self, at: datetime, action: str, actor: int | None, change: int, **data: Any) -> None:
        self.events.append((at, action, actor, change, json.dumps(data)))


ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
#: How COPY's text format writes a value of each type.
CELLS: dict[type, Any] = {
    type(None): lambda value: "\\N",
    bool: lambda value: "t" if value else "f",
    int: str,
    float: str,
    str: lambda value: value.translate(ESCAPES),
    datetime: datetime.isoformat,
    date: date.isoformat,
    list: lambda value: "{" + ",".join(f'"{item}"' for item in value) + "}",
}


def _cell(value: Any) -> str:
    return str(CELLS.get(type(value), lambda other: str(other).translate(ESCAPES))(value))


def _copy(table: str, text: str) -> None:
    columns = ", ".join(f'"{name}"' for name in TABLES[table])
    with connection.cursor() as cursor:
        cursor.cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN", io.StringIO(text))


def _reserve(table: str, count: int) -> int:
    """Take `count` keys of a table's sequence at once; returns the first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", [table])
        first = int(cursor.fetchone()[0])
        cursor.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", [table, first + count])
    return first


@transaction.atomic
def _store(bulk: Bulk) -> None:
    """Copy a batch and chain its events. Rows are sound by construction, so triggers rest for this transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table in TABLES:
            if table in bulk.texts:
                _copy(table, bulk.texts[table])
        cursor.execute("SELECT audit_seal(%s)", [bulk.first_event])
        cursor.execute("SET LOCAL session_replication_role = origin")


def _store_and_close(bulk: Bulk) -> None:
    try:
        _store(bulk)
    finally:
        connection.close()


@lru_cache(maxsize=64)
def _plan(facts: policy.Facts) -> tuple[policy.StepPlan, ...]:
    return tuple(policy.plan(policy.DEFAULT, facts))


@lru_cache(maxsize=64)
def _words(kind: str, keys: tuple[str, ...]) -> tuple[str, str]:
    """A step's checklist, and the answers of somebody who ticked everything, as JSON."""
    items = [item for item in [*policy.CHECKLISTS.get(kind, []), policy.NO_SECURITY] if item["key"] in keys]
    return json.dumps(items), json.dumps(dict.fromkeys(keys, True))


class Past:
    """Makes `count` ended changes over the last `months` months."""

    def __init__(self, *, people: dict[str, User], count: int, months: int, seed: int) -> None:
        self.random = random.Random(seed)  # a demonstration, nothing secret
        self.people = {username: user.pk for username, user in people.items()}
        self.roles = {user.pk: user.role_label for user in people.values()}
        self.components = {component.slug: component for component in Component.objects.all()}
        self.count = count
        self.now = timezone.now().replace(microsecond=0)
        self.start = self.now - timedelta(days=30 * months)
        calendar = current_calendar()
        self.windows = list(open_stretches("P1", self.start, self.now + timedelta(days=400), calendar))
        self.numbers: dict[date, int] = defaultdict(int)

    def make(self) -> int:
        """Copy everything, batch by batch, each in a transaction of its own; returns how many changes were made.

        The next batch is thought up while the database takes the last one in (on a connection of its own, unless a transaction
        is open already, as in tests).
        """
        moments = sorted(self.start + (self.now - timedelta(days=3) - self.start) * self.random.random() for _ in range(self.count))
        source: Iterator[datetime] = iter(moments)
        alone = connection.in_atomic_block
        with ThreadPoolExecutor(1) as storing:
            last: Future[None] | None = None
            while chunk := list(islice(source, BATCH)):
                bulk = self._batch(chunk)
                if last:
                    last.result()
                if alone:
                    _store(bulk)
                else:
                    last = storing.submit(_store_and_close, bulk)
            if last:
                last.result()
        self._keep_numbers()
        with connection.cursor() as cursor:  # the planner should know at once what was loaded
            for table in TABLES:
                cursor.execute(f"ANALYZE {table}")
        return self.count

    def _batch(self, moments: list[datetime]) -> Bulk:
        bulk = Bulk()
        self.next_change = _reserve("requests_changerequest", len(moments))
        self.next_step = _reserve("approvals_step", len(moments) * 8)
        self.next_decision = _reserve("approvals_decision", len(moments) * 8)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT max(last), day FROM requests_daycounter WHERE day = ANY(%s) GROUP BY day", [list({m.date() for m in moments})]
            )
            for last, day in cursor.fetchall():
                self.numbers[day] = max(self.numbers[day], last)
        for moment in moments:
            self._change(bulk, moment)
        bulk.first_event = _reserve("audit_event", len(bulk.events))
        bulk.events.sort(key=lambda event: event[0])
        bulk.rows["audit_event"] = [
            (bulk.first_event + index, at, action, actor, change, data, "page" if actor else "system")
            for index, (at, action, actor, change, data) in enumerate(bulk.events)
        ]
        bulk.write()
        return bulk

    def _keep_numbers(self) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO requests_daycounter (day, last) VALUES (%s, %s) ON CONFLICT (day) DO UPDATE SET last = greatest(requests_daycounter.last, excluded.last)",
                list(self.numbers.items()),
            )

    # --- one change ------------------------------------------------------------------------------------------------------------

    def _change(self, bulk: Bulk, created: datetime) -> None:
        rnd = self.random
        key, self.next_change = self.next_change, self.next_change + 1
        self.numbers[created.date()] += 1
        number = f"CR-{created:%Y-%m-%d}-{self.numbers[created.date()]:03d}"
        priority = rnd.choices(list(MIX), list(MIX.values()))[0]
        values = self._content(priority, created)
        requester = self.people["oncall" if priority == "P0" else rnd.choice(["engineer", "engineer2", "engineer", "devops", "tech-lead"])]
        mark = content.fingerprint(values)
        submitted = created + timedelta(minutes=rnd.randint(5, 600) if priority != "P0" else 3)
        bulk.event(created, "change.create", requester, key, number=number)
        bulk.event(submitted, "change.submit", requester, key, **{"from": "draft", "to": "in_review", "round": 1, "content_hash": mark})
        for slug in values["components"]:
            bulk.add("requests_changerequest_components", key, self.components[slug].pk)
        bulk.add("requests_author", key, requester)
        fate = rnd.random()
        if priority != "P0" and fate < 0.05:
            self._turned_down(bulk, key, number, values, requester, mark, created, submitted)
            return
        approved, deciders = self._steps(bulk, key, priority, values, requester, mark, submitted)
        self._implemented(bulk, key, number, values, requester, mark, created, submitted, approved, deciders)

    def _content(self, priority: str, created: datetime) -> dict[str, Any]:
        rnd = self.random
        if priority == "P0":
            slug, summary, reason = rnd.choice(stories.EMERGENCIES)
            steps, back = "Restore the setting\nWatch the error rate", "Set it back"
        else:
            slug = rnd.choice(list(stories.STORIES))
            summary, reason, steps, back = rnd.choice(stories.STORIES[slug])
        version = f"{rnd.randint(2, 9)}.{rnd.randint(0, 30)}"
        emergency = priority == "P0"
        return {
            "priority": priority,
            "emergency_kind": rnd.choice(["outage", "vulnerability"]) if emergency else "",
            "emergency_reference": f"INC-{rnd.randint(1000, 9999)}" if emergency else "",
            "summary": summary.format(v=version),
            "reason": reason,
            "components": [slug],
            "risk": "high" if emergency else rnd.choices(["low", "medium", "high"], [5, 3, 1])[0],
            "implementation_steps": steps.format(v=version),
            "rollback_plan": back,
            "rollback_tested": None
            if emergency
            else {"what": "The rollback plan", "where": "staging", "when": f"{created:%Y-%m-%d}", "link": ""},
            "rollback_minutes": rnd.choice([5, 10, 15, 20]),
            "testing_plan": "The smoke tests, and one order by hand.",
            "dependencies": [],
            "strategy": rnd.choice(["rolling", "rolling", "blue_green"]),
            "downtime_required": False,
            "downtime_minutes": None,
            "users_affected": False,
            "user_impact": "None expected.",
            "performance_impact": "None.",
            "security_impact": "None.",
            "affects_authentication": slug == "accounts",
            "affects_authorization": False,
            "affects_data_access": slug.endswith("-db"),
            "affects_network": slug == "load-balancer",
            "requested_date": None if emergency else created.date(),
            "estimated_minutes": rnd.choice([10, 15, 20, 30, 40]),
        }

    def _steps(
        self, bulk: Bulk, key: int, priority: str, values: dict[str, Any], requester: int, mark: str, submitted: datetime
    ) -> tuple[datetime, list[str]]:
        """Steps and decisions of one round, all approved; returns when the last was given, and the deciding roles."""
        facts = policy.Facts(
            priority,
            any(values[name] for name in content.SECURITY_QUESTIONS),
            self.components[values["components"][0]].security_review,
            False,
            False,
        )
        at, roles = submitted, set()
        for position, plan in enumerate(_plan(facts), start=1):
            step, self.next_step = self.next_step, self.next_step + 1
            roles |= set(plan.roles)
            checklist, ticks = _words(plan.kind, tuple(item["key"] for item in plan.checklist))
            opened = at if plan.stage > 1 else submitted
            for role, person in self._signers(plan, requester):
                at = max(at, opened) + timedelta(minutes=self.random.randint(2, 15) if priority == "P0" else self.random.randint(20, 900))
                decision, self.next_decision = self.next_decision, self.next_decision + 1
                bulk.add(
                    "approvals_decision",
                    decision,
                    step,
                    key,
                    1,
                    plan.stage,
                    False,
                    person,
                    role,
                    [role],
                    "approve",
                    "",
                    ticks,
                    mark,
                    at,
                )
                bulk.event(
                    at,
                    "approval.decide",
                    person,
                    key,
                    step=step,
                    kind=plan.kind,
                    round=1,
                    verdict="approve",
                    role=role,
                    decision=decision,
                    content_hash=mark,
                )
            bulk.add(
                "approvals_step",
                step,
                key,
                1,
                plan.stage,
                position,
                plan.kind,
                list(plan.roles),
                plan.mode,
                checklist,
                plan.waivable,
                False,
                "approved",
                mark,
                opened,
                at,
                priority,
            )
        bulk.event(at, "change.approve", None, key, **{"from": "in_review", "to": "approved", "round": 1, "content_hash": mark})
        return at, sorted(roles)

    def _signers(self, plan: policy.StepPlan, requester: int) -> list[tuple[str, int]]:
        """Who decides: never the requester, two people where the step asks for all."""
        if plan.mode == "all":
            return [(role, self.people[SIGNERS[role]]) for role in plan.roles]
        if plan.kind in DECIDERS:
            usual = self.people[DECIDERS[plan.kind]]
            return (
                [(plan.roles[1] if plan.kind == "technical" else plan.roles[0], usual)]
                if usual != requester
                else [("senior-devops-engineer", self.people["senior-devops"])]
            )
        if plan.kind == "emergency":
            return [("emergency-contact", self.people["emergency-contact"])]
        return [("devops-engineer", self.people["devops2"])]

    def _turned_down(
        self, bulk: Bulk, key: int, number: str, values: dict[str, Any], requester: int, mark: str, created: datetime, submitted: datetime
    ) -> None:
        """Rejected by a reviewer, or cancelled by its requester."""
        at = submitted + timedelta(hours=self.random.randint(1, 48))
        if self.random.random() < 0.5:
            step, self.next_step = self.next_step, self.next_step + 1
            decision, self.next_decision = self.next_decision, self.next_decision + 1
            why, person = self.random.choice(stories.REASONS_TO_REJECT), self.people["product-manager"]
            bulk.add(
                "approvals_step",
                step,
                key,
                1,
                1,
                1,
                "business",
                ["product-manager", "engineering-manager"],
                "any",
                "[]",
                False,
                False,
                "rejected",
                mark,
                submitted,
                at,
                values["priority"],
            )
            bulk.add(
                "approvals_decision",
                decision,
                step,
                key,
                1,
                1,
                False,
                person,
                "product-manager",
                ["product-manager"],
                "reject",
                why,
                "{}",
                mark,
                at,
            )
            bulk.event(
                at,
                "approval.decide",
                person,
                key,
                step=step,
                kind="business",
                round=1,
                verdict="reject",
                role="product-manager",
                decision=decision,
                content_hash=mark,
            )
            bulk.event(at, "change.reject", person, key, **{"from": "in_review", "to": "rejected", "reason": why})
            state = "rejected"
        else:
            bulk.event(
                at, "change.cancel", requester, key, **{"from": "in_review", "to": "cancelled", "reason": "Done with another change."}
            )
            state = "cancelled"
        self._row(bulk, key, number, state, "", values, requester, mark, created, submitted=submitted, updated=at)

    def _slot(self, values: dict[str, Any], approved: datetime) -> tuple[datetime, datetime, str, datetime, datetime]:
        """The next open window a day ahead, at a time of its own."""
        length = timedelta(minutes=values["estimated_minutes"] + values["rollback_minutes"])
        opening, closing = next((w for w in self.windows if w[0] >= approved + timedelta(hours=24)), self.windows[-1])
        room = int((closing - opening - length).total_seconds() // 300)
        start = opening + timedelta(minutes=5 * self.random.randint(0, max(0, room)))
        return start, start + length, "Primary" if opening.weekday() == 1 else "Secondary", opening, closing

    def _implemented(
        self,
        bulk: Bulk,
        key: int,
        number: str,
        values: dict[str, Any],
        requester: int,
        mark: str,
        created: datetime,
        submitted: datetime,
        approved: datetime,
        roles: list[str],
    ) -> None:
        rnd, emergency = self.random, values["priority"] == "P0"
        slot = None if emergency else self._slot(values, approved)
        started = approved + timedelta(minutes=rnd.randint(1, 8)) if slot is None else slot[0] + timedelta(seconds=rnd.randint(5, 90))
        if started > self.now - timedelta(hours=30):  # too young to be closed: it is waiting for its night
            self._row(
                bulk,
                key,
                number,
                "approved",
                "",
                values,
                requester,
                mark,
                created,
                submitted=submitted,
                approved=approved,
                roles=roles,
                updated=approved,
            )
            return
        implementer = self.people[rnd.choice(["devops", "devops2", "oncall"]) if not emergency else "oncall"]
        if slot:
            bulk.event(
                approved,
                "change.schedule",
                None if values["priority"] == "P3" else requester,
                key,
                **{"from": "approved", "to": "scheduled", "start": slot[0].isoformat(), "end": slot[1].isoformat(), "window": slot[2]},
            )
        bulk.event(started, "change.start", implementer, key, **{"from": "scheduled" if slot else "approved", "to": "implementing"})
        work = timedelta(minutes=max(3, int(values["estimated_minutes"] * rnd.uniform(0.6, 1.1))))
        fate = rnd.random()
        outcome = "rolled_back" if fate < 0.06 else "failed" if fate < 0.075 else "completed"
        finished = completed = rollback = None
        if outcome == "completed":
            finished = started + work
            ended = completed = finished + timedelta(minutes=30)
            bulk.event(finished, "change.finish", implementer, key, **{"from": "implementing", "to": "verifying"})
            bulk.event(ended, "change.complete", implementer, key, **{"from": "verifying", "to": "completed", "outcome": outcome})
        elif outcome == "rolled_back":
            rollback = started + work / 2
            ended = rollback + timedelta(minutes=values["rollback_minutes"])
            why = rnd.choice(stories.ISSUES)
            bulk.event(
                rollback,
                "change.roll_back",
                implementer,
                key,
                **{"from": "implementing", "to": "rolling_back", "reason": why, "trigger": "manual"},
            )
            bulk.event(
                ended, "change.finish_rollback", implementer, key, **{"from": "rolling_back", "to": "rolled_back", "outcome": outcome}
            )
        else:
            ended = started + work
            bulk.event(
                ended,
                "change.fail",
                implementer,
                key,
                **{"from": "implementing", "to": "failed", "outcome": outcome, "reason": "The migration stopped half-way."},
            )
        self._issues(bulk, key, outcome, implementer, started, ended)
        closed = self._review(bulk, key, values, outcome, implementer, requester, ended)
        self._row(
            bulk,
            key,
            number,
            "closed",
            outcome,
            values,
            requester,
            mark,
            created,
            submitted=submitted,
            approved=approved,
            roles=roles,
            slot=slot,
            started=started,
            finished=finished,
            completed=completed,
            rollback=rollback,
            ended=ended,
            closed=closed,
            implementer=implementer,
            updated=closed,
        )

    def _issues(self, bulk: Bulk, key: int, outcome: str, implementer: int, started: datetime, ended: datetime) -> None:
        if outcome == "completed" and self.random.random() > 0.05:
            return
        detected = started + (ended - started) * 0.4
        resolved = ended if outcome == "rolled_back" else ended + timedelta(minutes=self.random.randint(5, 90))
        severity, summary = self.random.choice(["P0", "P1", "P2", "P3"]), self.random.choice(stories.ISSUES)
        bulk.add("implementation_issue", key, 1, severity, summary, "caused_by", detected, resolved, implementer)
        bulk.event(
            detected,
            "implementation.issue",
            implementer,
            key,
            n=1,
            severity=severity,
            summary=summary,
            link="caused_by",
            detected_at=detected.isoformat(),
            resolved_at=None,
        )

    def _review(
        self, bulk: Bulk, key: int, values: dict[str, Any], outcome: str, implementer: int, requester: int, ended: datetime
    ) -> datetime:
        rnd, due = self.random, ended + timedelta(hours=24)
        late = rnd.random() < 0.04
        written = due + timedelta(hours=rnd.uniform(1, 4)) if late else ended + timedelta(hours=rnd.uniform(0.5, 20))
        overdue = due if late else None
        if late:
            bulk.event(due, "implementation.review_overdue", None, key, due_at=due.isoformat())
        lesson = rnd.choice(stories.LESSONS) if rnd.random() < 0.15 else ""
        improvement = rnd.choice(stories.IMPROVEMENTS) if rnd.random() < 0.08 else ""
        needs_second = outcome != "completed" or values["priority"] == "P0"
        confirmed = written + timedelta(minutes=40) if needs_second else None
        second, justified = (
            (self.people["tech-lead"], rnd.random() < 0.9 if values["priority"] == "P0" else None) if needs_second else (None, None)
        )
        if second == requester:
            second = self.people["devops-lead"]
        major = values["priority"] in ("P0", "P1") or values["risk"] == "high"
        bulk.add(
            "implementation_review",
            key,
            due,
            False,
            "It went as planned." if outcome == "completed" else "It was taken back; the cause is known.",
            "",
            lesson,
            improvement,
            True if major else None,
            implementer,
            written,
            second,
            confirmed,
            justified,
            overdue,
        )
        bulk.event(written, "implementation.review", implementer, key, late=late)
        if confirmed:
            bulk.event(confirmed, "implementation.review_confirm", second, key, p0_justified=justified)
        closed = confirmed or written
        bulk.event(closed, "change.close", None, key, **{"from": outcome, "to": "closed"})
        return closed

    def _row(
        self,
        bulk: Bulk,
        key: int,
        number: str,
        state: str,
        outcome: str,
        values: dict[str, Any],
        requester: int,
        mark: str,
        created: datetime,
        *,
        updated: datetime,
        submitted: datetime | None = None,
        approved: datetime | None = None,
        roles: list[str] | None = None,
        slot: tuple[datetime, datetime, str, datetime, datetime] | None = None,
        started: datetime | None = None,
        finished: datetime | None = None,
        completed: datetime | None = None,
        rollback: datetime | None = None,
        ended: datetime | None = None,
        closed: datetime | None = None,
        implementer: int | None = None,
    ) -> None:
        tested = json.dumps(values["rollback_tested"]) if values["rollback_tested"] else None
        facts = {**values, "rollback_tested": tested, "dependencies": "[]"}
        words = [facts[name] for name in TABLES["requests_changerequest"][9:34]]
        start, end, name, opening, closing = slot or (None, None, "", None, None)
        bulk.add(
            "requests_changerequest",
            key,
            number,
            state,
            outcome,
            "demo",
            1,
            1,
            mark,
            mark if approved else "",
            *words,
            "[]",
            implementer,
            False,
            False,
            requester,
            self.roles[requester],
            roles or [],
            start,
            end,
            name,
            opening,
            closing,
            0,
            created,
            submitted,
            approved,
            started,
            finished,
            completed,
            rollback,
            ended,
            closed,
            updated,
        )


def make_past(*, people: dict[str, User], count: int, months: int, seed: int) -> int:
    return Past(people=people, count=count, months=months, seed=seed).make()
