"""Rows by COPY: the fastest way into PostgreSQL, with the audit chain sealed behind them."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db import connection, transaction

from audit import words

#: table → its columns, in COPY's order, with what a row holds where nothing else is said
COLUMNS: dict[str, dict[str, Any]] = {
    "requests_changerequest": {
        "id": None, "number": "", "state": "", "outcome": "", "origin": "demo", "version": 1,
        "round": 1, "content_hash": "", "content_scheme": 2,
        "approved_hash": "", "priority": "", "emergency_kind": "", "emergency_reference": "",
        "summary": "", "reason": "", "risk": "", "risk_answers": "{}", "strategy_reason": "",
        "assessed_risk": "", "assessed_reason": "",
        "implementation_steps": "", "rollback_plan": "", "rollback_tested": None,
        "rollback_minutes": None, "testing_plan": "",
        "dependencies": "[]", "strategy": "rolling", "downtime_required": False,
        "downtime_minutes": None, "users_affected": False,
        "user_impact": "None expected.", "performance_impact": "None.", "security_impact": "None.",
        "affects_authentication": False,
        "affects_authorization": False, "affects_data_access": False, "affects_network": False,
        "requested_date": None,
        "estimated_minutes": None, "external_refs": "[]", "implementer_id": None,
        "confidential": False, "major": False,
        "requester_id": None, "requester_role": "", "decider_roles": [], "slot_start": None,
        "slot_end": None, "window_name": "",
        "window_start": None, "window_end": None, "slots_missed": 0, "slot_told": 0,
        "created_at": None, "submitted_at": None, "approved_at": None,
        "started_at": None, "finished_at": None, "completed_at": None, "rollback_started_at": None,
        "ended_at": None, "closed_at": None,
        "overrun_at": None, "updated_at": None,
    },
    "requests_changerequest_components": {"changerequest_id": None, "component_id": None},
    "requests_author": {"change_id": None, "user_id": None},
    "approvals_step": {
        "id": None, "change_id": None, "round": 1, "stage": 1, "position": 1, "kind": "",
        "roles": [], "mode": "any", "needed": 1, "checklist": "[]",
        "waivable": False, "deferred": False, "state": "", "content_hash": "", "opened_at": None,
        "settled_at": None, "priority": "", "called": 1,
    },
    "approvals_decision": {
        "id": None, "step_id": None, "change_id": None, "round": 1, "stage": 1, "deferred": False,
        "actor_id": None, "role": "",
        "roles_held": [], "verdict": "approve", "comment": "", "checklist": "{}",
        "content_hash": "", "at": None,
    },
    "implementation_issue": {
        "change_id": None, "n": 1, "severity": "", "summary": "", "link": "caused_by",
        "detected_at": None, "resolved_at": None, "by_id": None,
    },
    "implementation_review": {
        "change_id": None, "due_at": None, "superseded": False, "summary": "", "deviations": "",
        "lessons": "", "improvements": "",
        "runbook_updated": None, "written_by_id": None, "written_at": None, "version": 1,
        "writers": [], "confirmed_by_id": None, "confirmed_at": None,
        "p0_justified": None, "overdue_at": None,
    },
    "audit_words": {"event_id": None, "texts": "{}", "salts": "{}"},
    "audit_event": {"id": None, "at": None, "action": "", "actor_id": None, "change_id": None,
        "data": "{}", "via": ""},
}  # fmt: skip

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


@dataclass
class Bulk:
    """One batch: rows waiting to be copied, per table, and events, which are put in order of time
    at the end.
    """

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    events: list[tuple[datetime, str, int | None, int, dict[str, Any]]] = field(
        default_factory=list
    )
    first_event: int = 0
    texts: dict[str, str] = field(default_factory=dict)

    def add(self, table: str, **values: Any) -> None:
        self.rows[table].append(COLUMNS[table] | values)

    def event(self, at: datetime, action: str, actor: int | None, change: int, **data: Any) -> None:
        self.events.append((at, action, actor, change, data))

    def write(self) -> None:
        """Number the events, and turn all rows into COPY's text."""
        self.first_event = reserve("audit_event", len(self.events))
        self.events.sort(key=lambda event: event[0])
        for key, (at, action, actor, change, data) in enumerate(
            self.events, start=self.first_event
        ):
            via = "page" if actor else "system"
            facts, texts = words.split(data)
            if texts:
                salts, facts[words.DIGESTS] = words.sealed(texts)
                self.add(
                    "audit_words", event_id=key, texts=json.dumps(texts), salts=json.dumps(salts)
                )
            self.add(
                "audit_event",
                id=key,
                at=at,
                action=action,
                actor_id=actor,
                change_id=change,
                data=json.dumps(facts),
                via=via,
            )
        self.texts = {
            table: "".join("\t".join(map(_cell, row.values())) + "\n" for row in rows)
            for table, rows in self.rows.items()
            if rows
        }
        self.rows.clear()
        self.events.clear()


def reserve(table: str, count: int) -> int:
    """Take `count` keys of a table's sequence at once; returns the first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", [table])
        first = int(cursor.fetchone()[0])
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", [table, first + count]
        )
    return first


@transaction.atomic
def store(bulk: Bulk) -> None:
    """Copy a batch and chain its events. Rows are sound by construction, so triggers rest for this
    transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table, columns in COLUMNS.items():
            if text := bulk.texts.get(table):
                names = ", ".join(f'"{name}"' for name in columns)
                cursor.cursor.copy_expert(f"COPY {table} ({names}) FROM STDIN", io.StringIO(text))
        cursor.execute("SELECT audit_seal(%s)", [bulk.first_event])
        cursor.execute("SET LOCAL session_replication_role = origin")


def analyze() -> None:
    """The planner should know at once what was loaded."""
    with connection.cursor() as cursor:
        for table in COLUMNS:
            cursor.execute(f"ANALYZE {table}")
