"""A believable past, in bulk: ended changes with steps, decisions, reviews, issues and the trail
that the product would have written.

Deterministic: the same seed, number and months give the same history (relative to today).
"""

from __future__ import annotations

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

from django.db import connection
from django.utils import timezone

from accounts.models import User
from approvals.policy import policy
from changemgmt.demo import stories
from changemgmt.demo.bulk import Bulk, analyze, reserve, store
from requests import content
from requests.models import Component
from windows.calendar.verdict import open_stretches
from windows.models import current_calendar

BATCH = 5000
MIX = {"P0": 0.03, "P1": 0.2, "P2": 0.42, "P3": 0.35}
REQUESTERS = ["engineer", "engineer2", "engineer", "devops", "tech-lead"]
SIGNERS = {
    "engineering-manager": "eng-manager",
    "devops-lead": "devops-lead",
    "cto": "cto",
    "emergency-contact": "emergency-contact",
}
DECIDERS = {
    "technical": ("tech-lead", "tech-lead"),
    "security": ("security-engineer", "security"),
    "business": ("product-manager", "product-manager"),
    "emergency": ("emergency-contact", "emergency-contact"),
    "sign_off": ("devops-engineer", "devops2"),
}
MONITORING = timedelta(minutes=30)
TOO_YOUNG = timedelta(hours=30)  # a run that ended later than this may still owe its review


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


@lru_cache(maxsize=64)
def _plan(facts: policy.Facts) -> tuple[policy.StepPlan, ...]:
    return tuple(policy.plan(policy.DEFAULT, facts))


@lru_cache(maxsize=64)
def _words(kind: str, keys: tuple[str, ...]) -> tuple[str, str]:
    """A step's checklist, and the answers of somebody who ticked everything, as JSON."""
    items = [
        item
        for item in [*policy.CHECKLISTS.get(kind, []), policy.NO_SECURITY]
        if item["key"] in keys
    ]
    return json.dumps(items), json.dumps(dict.fromkeys(keys, True))


def _store_and_close(bulk: Bulk) -> None:
    try:
        store(bulk)
    finally:
        connection.close()


@dataclass
class Life:
    """One change while it is thought up: its content, its people, and the columns that its row will
    have.
    """

    bulk: Bulk
    key: int
    requester: int
    values: dict[str, Any]
    mark: str
    row: dict[str, Any] = field(default_factory=dict)

    @property
    def is_emergency(self) -> bool:
        return bool(self.values["priority"] == "P0")

    def event(self, at: datetime, action: str, actor: int | None, **data: Any) -> None:
        self.bulk.event(at, action, actor, self.key, **data)

    def move(
        self, at: datetime, name: str, actor: int | None, source: str, target: str, **data: Any
    ) -> None:
        """A transition, as `lifecycle.perform` records it."""
        self.row |= {"state": target, "updated_at": at}
        self.event(at, f"change.{name}", actor, **{"from": source, "to": target}, **data)

    def save(self) -> None:
        tested = self.values["rollback_tested"]
        words = self.values | {
            "rollback_tested": json.dumps(tested) if tested else None,
            "dependencies": "[]",
        }
        words.pop("components")
        self.bulk.add(
            "requests_changerequest",
            id=self.key,
            requester_id=self.requester,
            content_hash=self.mark,
            **words,
            **self.row,
        )


class Past:
    """Makes `count` changes over the last `months` months."""

    def __init__(self, *, people: dict[str, User], count: int, months: int, seed: int) -> None:
        self.random = random.Random(seed)  # a demonstration, nothing secret
        self.people = {username: user.pk for username, user in people.items()}
        self.roles = {user.pk: user.role_label for user in people.values()}
        self.components = {component.slug: component for component in Component.objects.all()}
        self.count = count
        self.now = timezone.now().replace(microsecond=0)
        self.start = self.now - timedelta(days=30 * months)
        self.windows = list(
            open_stretches("P1", self.start, self.now + timedelta(days=400), current_calendar())
        )
        self.numbers: dict[date, int] = defaultdict(int)

    def make(self) -> int:
        """Copy everything, batch by batch, each in a transaction of its own; returns how many
        changes were made.

        The next batch is thought up while the database takes the last one in (on a connection of
        its own, unless a transaction is open already, as in tests).
        """
        moments = sorted(
            self.start + (self.now - timedelta(days=3) - self.start) * self.random.random()
            for _ in range(self.count)
        )
        source: Iterator[datetime] = iter(moments)
        alone = connection.in_atomic_block
        with ThreadPoolExecutor(1) as storing:
            last: Future[None] | None = None
            while chunk := list(islice(source, BATCH)):
                bulk = self._batch(chunk)
                if last:
                    last.result()
                if alone:
                    store(bulk)
                else:
                    last = storing.submit(_store_and_close, bulk)
            if last:
                last.result()
        self._keep_numbers()
        analyze()
        return self.count

    def _batch(self, moments: list[datetime]) -> Bulk:
        bulk = Bulk()
        self.next_change = reserve("requests_changerequest", len(moments))
        self.next_step = reserve("approvals_step", len(moments) * 8)
        self.next_decision = reserve("approvals_decision", len(moments) * 8)
        with connection.cursor() as cursor:
            days = list({moment.date() for moment in moments})
            cursor.execute(
                "SELECT max(last), day FROM requests_daycounter WHERE day = ANY(%s) GROUP BY day",
                [days],
            )
            for last, day in cursor.fetchall():
                self.numbers[day] = max(self.numbers[day], last)
        for moment in moments:
            self._change(bulk, moment)
        bulk.write()
        return bulk

    def _keep_numbers(self) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO requests_daycounter (day, last) VALUES (%s, %s) ON CONFLICT (day) DO"
                " UPDATE SET last = greatest(requests_daycounter.last, excluded.last)",
                list(self.numbers.items()),
            )

    # --- one change -------------------------------------------------------------------------------

    def _change(self, bulk: Bulk, created: datetime) -> None:
        rnd = self.random
        life = self._asked_for(bulk, created)
        if not life.is_emergency and rnd.random() < 0.05:
            self._turned_down(life)
        else:
            self._approved(life)
            slot = None if life.is_emergency else self._slot(life)
            approved = life.row["approved_at"]
            started = (
                slot[0] + timedelta(seconds=rnd.randint(5, 90))
                if slot
                else approved + minutes(rnd.randint(1, 8))
            )
            if started <= self.now - TOO_YOUNG:  # else it is waiting for its night
                self._run(life, slot, started)
        life.save()

    def _asked_for(self, bulk: Bulk, created: datetime) -> Life:
        """A request, submitted."""
        rnd = self.random
        key, self.next_change = self.next_change, self.next_change + 1
        self.numbers[created.date()] += 1
        number = f"CR-{created:%Y-%m-%d}-{self.numbers[created.date()]:03d}"
        priority = rnd.choices(list(MIX), list(MIX.values()))[0]
        values = self._content(priority, created)
        requester = self.people["oncall" if priority == "P0" else rnd.choice(REQUESTERS)]
        life = Life(bulk, key, requester, values, content.fingerprint(values))
        submitted = created + minutes(3 if life.is_emergency else rnd.randint(5, 600))
        life.row = {
            "number": number,
            "requester_role": self.roles[requester],
            "created_at": created,
            "submitted_at": submitted,
        }
        life.event(created, "change.create", requester, number=number)
        life.move(
            submitted, "submit", requester, "draft", "in_review", round=1, content_hash=life.mark
        )
        for slug in values["components"]:
            bulk.add(
                "requests_changerequest_components",
                changerequest_id=key,
                component_id=self.components[slug].pk,
            )
        bulk.add("requests_author", change_id=key, user_id=requester)
        return life

    def _content(self, priority: str, created: datetime) -> dict[str, Any]:
        rnd, emergency = self.random, priority == "P0"
        if emergency:
            slug, summary, reason = rnd.choice(stories.EMERGENCIES)
            steps, back = "Restore the setting\nWatch the error rate", "Set it back"
        else:
            slug = rnd.choice(list(stories.STORIES))
            summary, reason, steps, back = rnd.choice(stories.STORIES[slug])
        version = f"{rnd.randint(2, 9)}.{rnd.randint(0, 30)}"
        tested = {"what": "The rollback plan", "where": "staging", "link": ""}
        tested |= {"when": f"{created:%Y-%m-%d}"}
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
            "rollback_tested": None if emergency else tested,
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

    # --- approval ---------------------------------------------------------------------------------

    def _turned_down(self, life: Life) -> None:
        """Rejected by a reviewer, or cancelled by its requester."""
        submitted = life.row["submitted_at"]
        at = submitted + timedelta(hours=self.random.randint(1, 48))
        if self.random.random() < 0.5:
            why, person = (
                self.random.choice(stories.REASONS_TO_REJECT),
                self.people["product-manager"],
            )
            plan = policy.StepPlan(
                kind="business",
                stage=1,
                roles=("product-manager", "engineering-manager"),
                mode="any",
                checklist=(),
            )
            step = self._step(life, plan, 1, "rejected", submitted, at)
            self._decision(
                life, step, plan, "product-manager", person, at, verdict="reject", comment=why
            )
            life.move(at, "reject", person, "in_review", "rejected", reason=why)
        else:
            life.move(
                at,
                "cancel",
                life.requester,
                "in_review",
                "cancelled",
                reason="Done with another change.",
            )

    def _approved(self, life: Life) -> None:
        """One round's steps, all approved, stage by stage."""
        submitted = at = life.row["submitted_at"]
        touches = any(life.values[name] for name in content.SECURITY_QUESTIONS)
        always = self.components[life.values["components"][0]].security_review
        roles: set[str] = set()
        for position, plan in enumerate(
            _plan(policy.Facts(life.values["priority"], touches, always, False, False)), start=1
        ):
            opened = at if plan.stage > 1 else submitted
            step, self.next_step = self.next_step, self.next_step + 1
            for role, person in self._signers(plan, life.requester):
                at = max(at, opened) + minutes(
                    self.random.randint(2, 15)
                    if life.is_emergency
                    else self.random.randint(20, 900)
                )
                self._decision(life, step, plan, role, person, at)
            self._step(life, plan, position, "approved", opened, at, key=step)
            roles |= set(plan.roles)
        life.move(at, "approve", None, "in_review", "approved", round=1, content_hash=life.mark)
        life.row |= {"approved_at": at, "approved_hash": life.mark, "decider_roles": sorted(roles)}

    def _signers(self, plan: policy.StepPlan, requester: int) -> list[tuple[str, int]]:
        """Who decides: never the requester, two people where the step asks for all."""
        if plan.mode == "all":
            return [(role, self.people[SIGNERS[role]]) for role in plan.roles]
        role, username = DECIDERS[plan.kind]
        if self.people[username] == requester:
            role, username = "senior-devops-engineer", "senior-devops"
        return [(role, self.people[username])]

    def _step(
        self,
        life: Life,
        plan: policy.StepPlan,
        position: int,
        state: str,
        opened: datetime,
        settled: datetime,
        key: int | None = None,
    ) -> int:
        if key is None:
            key, self.next_step = self.next_step, self.next_step + 1
        checklist, _ = _words(plan.kind, tuple(item["key"] for item in plan.checklist))
        life.bulk.add(
            "approvals_step", id=key, change_id=life.key, stage=plan.stage, position=position,
            kind=plan.kind, roles=list(plan.roles),
            mode=plan.mode, needed=plan.needed, checklist=checklist, waivable=plan.waivable,
            state=state, content_hash=life.mark, opened_at=opened,
            settled_at=settled, priority=life.values["priority"],
        )  # fmt: skip
        return key

    def _decision(
        self,
        life: Life,
        step: int,
        plan: policy.StepPlan,
        role: str,
        person: int,
        at: datetime,
        verdict: str = "approve",
        comment: str = "",
    ) -> None:
        key, self.next_decision = self.next_decision, self.next_decision + 1
        _, ticks = _words(plan.kind, tuple(item["key"] for item in plan.checklist))
        life.bulk.add(
            "approvals_decision", id=key, step_id=step, change_id=life.key, stage=plan.stage,
            actor_id=person, role=role, roles_held=[role],
            verdict=verdict, comment=comment, checklist=ticks, content_hash=life.mark, at=at,
        )  # fmt: skip
        life.event(
            at,
            "approval.decide",
            person,
            step=step,
            kind=plan.kind,
            round=1,
            verdict=verdict,
            role=role,
            decision=key,
            content_hash=life.mark,
            comment=comment,
        )

    # --- implementation ---------------------------------------------------------------------------

    def _slot(self, life: Life) -> tuple[datetime, datetime, datetime, datetime]:
        """Start and end in the next open window a day ahead (now and then at shorter notice), and
        that window.
        """
        rnd, approved = self.random, life.row["approved_at"]
        length = minutes(life.values["estimated_minutes"] + life.values["rollback_minutes"])
        at_short_notice = life.values["priority"] != "P3" and rnd.random() < 0.15
        ahead = timedelta(hours=1 if at_short_notice else 24)
        opening, closing = next(
            (w for w in self.windows if w[0] >= approved + ahead), self.windows[-1]
        )
        room = int((closing - opening - length).total_seconds() // 300)
        start = opening + minutes(5 * rnd.randint(0, max(0, room)))
        return start, start + length, opening, closing

    def _run(
        self,
        life: Life,
        slot: tuple[datetime, datetime, datetime, datetime] | None,
        started: datetime,
    ) -> None:
        """Booked, implemented, reviewed, closed."""
        implementer = self.people[
            "oncall" if life.is_emergency else self.random.choice(["devops", "devops2", "oncall"])
        ]
        if slot:
            self._booked(life, slot)
        life.move(
            started,
            "start",
            implementer,
            life.row["state"],
            "implementing",
            priority=life.values["priority"],
        )
        life.row |= {"started_at": started, "implementer_id": implementer}
        fate = self.random.random()
        if fate < 0.06:
            ended = self._rolled_back(life, implementer, started)
        elif fate < 0.075:
            ended = started + minutes(life.values["estimated_minutes"])
            why = "The migration stopped half-way."
            said = {"outcome": "failed", "reason": why, "skipped": 0}
            life.move(ended, "fail", implementer, "implementing", "failed", **said)
        else:
            ended = self._completed(life, implementer, started, slot)
        life.row |= {"outcome": life.row["state"], "ended_at": ended}
        self._issue(life, implementer, started, ended)
        self._review(life, implementer, ended)

    def _booked(self, life: Life, slot: tuple[datetime, datetime, datetime, datetime]) -> None:
        start, end, opening, closing = slot
        name, approved = (
            "Primary" if opening.weekday() == 1 else "Secondary",
            life.row["approved_at"],
        )
        said: dict[str, Any] = (
            {"short_notice_reason": "The campaign starts on Friday."}
            if start - approved < timedelta(hours=24)
            else {}
        )
        if self.random.random() < 0.01:
            said |= {
                "override_reason": "They touch different shards.",
                "overridden": ["same_component"],
            }
        booker = None if life.values["priority"] == "P3" else life.requester
        life.move(
            approved,
            "schedule",
            booker,
            "approved",
            "scheduled",
            start=start.isoformat(),
            end=end.isoformat(),
            window=name,
            **said,
        )
        life.row |= {
            "slot_start": start,
            "slot_end": end,
            "window_name": name,
            "window_start": opening,
            "window_end": closing,
        }

    def _completed(
        self, life: Life, implementer: int, started: datetime, slot: tuple[datetime, ...] | None
    ) -> datetime:
        """Finished, watched for half an hour (now and then for less), completed."""
        rnd = self.random
        finished = started + minutes(
            max(3, int(life.values["estimated_minutes"] * rnd.uniform(0.6, 1.1)))
        )
        if slot and rnd.random() < 0.03:
            finished = slot[1] + minutes(rnd.randint(3, 25))
            life.event(slot[1], "change.overrun", None, slot_end=slot[1].isoformat())
            life.row["overrun_at"] = slot[1]
        skipped = int(rnd.random() < 0.04)
        life.move(finished, "finish", implementer, "implementing", "verifying", skipped=skipped)
        left = rnd.randint(5, 25) if rnd.random() < 0.05 else 0
        ended = finished + MONITORING - minutes(left)
        shortened = (
            {"monitoring_shortened_minutes": left, "reason": "All curves are flat."} if left else {}
        )
        life.move(
            ended,
            "complete",
            implementer,
            "verifying",
            "completed",
            outcome="completed",
            skipped=skipped,
            **shortened,
        )
        life.row |= {"finished_at": finished, "completed_at": ended}
        return ended

    def _rolled_back(self, life: Life, implementer: int, started: datetime) -> datetime:
        began = started + minutes(life.values["estimated_minutes"] * self.random.uniform(0.3, 0.6))
        ended = began + minutes(life.values["rollback_minutes"])
        why = self.random.choice(stories.ISSUES)
        life.move(
            began,
            "roll_back",
            implementer,
            "implementing",
            "rolling_back",
            reason=why,
            trigger="manual",
            skipped=0,
        )
        life.move(
            ended,
            "finish_rollback",
            implementer,
            "rolling_back",
            "rolled_back",
            outcome="rolled_back",
            resolved=[1],
            skipped=0,
        )
        life.row["rollback_started_at"] = began
        return ended

    def _issue(self, life: Life, implementer: int, started: datetime, ended: datetime) -> None:
        """What went wrong: always where it was taken back or failed, seldom otherwise; a rollback
        resolves it, else somebody does.
        """
        outcome = life.row["outcome"]
        if outcome == "completed" and self.random.random() > 0.05:
            return
        detected = started + (ended - started) * 0.4
        resolved = (
            ended if outcome == "rolled_back" else ended + minutes(self.random.randint(5, 90))
        )
        severity, summary = (
            self.random.choice(["P0", "P1", "P2", "P3"]),
            self.random.choice(stories.ISSUES),
        )
        words = {"severity": severity, "summary": summary, "link": "caused_by"}
        life.bulk.add(
            "implementation_issue",
            change_id=life.key,
            detected_at=detected,
            resolved_at=resolved,
            by_id=implementer,
            **words,
        )
        facts = {"n": 1, **words, "detected_at": detected.isoformat(), "resolved_at": None}
        life.event(detected, "implementation.issue", implementer, **facts)
        if outcome != "rolled_back":
            life.event(
                resolved,
                "implementation.issue_edit",
                implementer,
                **(facts | {"resolved_at": resolved.isoformat(), "was": facts}),
            )

    def _review(self, life: Life, implementer: int, ended: datetime) -> None:
        """Written within a day (seldom later), confirmed by a second person where one is asked for;
        then the change is closed.
        """
        rnd, due, outcome = self.random, ended + timedelta(hours=24), life.row["outcome"]
        late = rnd.random() < 0.04
        hours = timedelta(hours=rnd.uniform(1, 4) if late else rnd.uniform(0.5, 20))
        written = (due if late else ended) + hours
        if late:
            life.event(due, "implementation.review_overdue", None, due_at=due.isoformat())
        told = {
            "summary": (
                "It went as planned."
                if outcome == "completed"
                else "It was taken back; the cause is known."
            ),
            "lessons": rnd.choice(stories.LESSONS) if rnd.random() < 0.15 else "",
            "improvements": rnd.choice(stories.IMPROVEMENTS) if rnd.random() < 0.08 else "",
        }
        life.event(written, "implementation.review", implementer, version=1, late=late, **told)
        closed, second = written, dict[str, Any]()
        if outcome != "completed" or life.is_emergency:
            closed = written + minutes(40)
            person = self.people[
                "devops-lead" if life.requester == self.people["tech-lead"] else "tech-lead"
            ]
            justified = rnd.random() < 0.9 if life.is_emergency else None
            second = {"confirmed_by_id": person, "confirmed_at": closed, "p0_justified": justified}
            life.event(closed, "implementation.review_confirm", person, p0_justified=justified)
        is_major = life.values["priority"] in ("P0", "P1") or life.values["risk"] == "high"
        life.bulk.add(
            "implementation_review", change_id=life.key, due_at=due, written_by_id=implementer,
            writers=[implementer], written_at=written,
            runbook_updated=True if is_major else None, overdue_at=due if late else None, **told,
            **second,
        )  # fmt: skip
        life.move(closed, "close", None, outcome, "closed")
        life.row["closed_at"] = closed


def make_past(*, people: dict[str, User], count: int, months: int, seed: int) -> int:
    return Past(people=people, count=count, months=months, seed=seed).make()
