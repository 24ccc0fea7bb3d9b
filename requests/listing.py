"""The list of changes: filters, search, keyset paging. One definition for page, API and export."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from django.contrib.postgres.search import SearchQuery
from django.db.models import Model, Q, QuerySet
from django.http import QueryDict

from accounts.models import User
from language import reading
from language.refusal import Invalid
from requests.models import ChangeQuerySet, ChangeRequest
from requests.states import OPEN, State

SORTS = {
    "-created": ("-created_at", "-id"),
    "created": ("created_at", "id"),
    "slot": ("slot_start", "id"),
    "-ended": ("-ended_at", "-id"),
}
DEFAULT_SORT = "-created"
MAX_LIMIT = 200


@dataclass
class Query:
    """What was asked, cleaned. `wrong` holds what could not be used, by field."""

    q: str = ""
    states: list[str] = field(default_factory=list)
    priorities: list[str] = field(default_factory=list)
    risks: list[str] = field(default_factory=list)
    components: list[str] = field(default_factory=list)
    requester: str = ""
    mine: bool = False
    watching: bool = False
    needs_me: bool = False
    since: datetime | None = None
    until: datetime | None = None
    ended: str = ""
    outcome: str = ""
    sort: str = DEFAULT_SORT
    limit: int = 50
    cursor: str = ""
    wrong: dict[str, str] = field(default_factory=dict)


def _words(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [
        word.strip() for item in values if item for word in str(item).split(",") if word.strip()
    ]


def read_address(get: QueryDict) -> Query:
    """The query of an address: page, export and API read it alike."""
    return read(
        get.dict()
        | {name: get.getlist(name) for name in ("state", "priority", "risk", "component")}
    )


def read(params: Mapping[str, Any]) -> Query:
    """Take query parameters as they come; unknown words are named in `wrong`, never a fault."""
    query = Query(
        q=str(params.get("q") or "").strip()[:200],
        requester=str(params.get("requester") or "")[:150],
        cursor=str(params.get("cursor") or ""),
    )
    states = _words(params.get("state"))
    if "open" in states:
        states = [state for state in states if state != "open"] + [
            str(state) for state in State if state in OPEN
        ]
    query.states = _known(states, State.values, "state", query)
    priorities, outcomes = _words(params.get("priority")), _words(params.get("outcome"))
    query.priorities = _known(priorities, ChangeRequest.Priority.values, "priority", query)
    query.risks = _known(_words(params.get("risk")), ChangeRequest.Risk.values, "risk", query)
    query.components = _words(params.get("component"))[:20]
    query.outcome = next(iter(_known(outcomes, OUTCOMES, "outcome", query)), "")
    for name in ("mine", "watching", "needs_me"):
        setattr(query, name, str(params.get(name) or "").lower() in {"1", "true", "yes", "on"})
    _read_times(params, query)
    if sort := str(params.get("sort") or ""):
        query.sort = sort if sort in SORTS else DEFAULT_SORT
        if sort not in SORTS:
            query.wrong["sort"] = f"sort: choose one of {', '.join(SORTS)}."
    _read_limit(params, query)
    return query


OUTCOMES = ["completed", "rolled_back", "failed"]


def _read_times(params: Mapping[str, Any], query: Query) -> None:
    for name, target in (("from", "since"), ("to", "until")):
        if value := str(params.get(name) or "").strip():
            try:
                setattr(query, target, _bound(value, ends=name == "to"))
            except reading.Wrong as problem:
                query.wrong[name] = f"{name}: {problem}"
    if query.since and query.until and query.until <= query.since:
        query.wrong["to"] = "to: the end lies before the start; give a later one."
    if value := str(params.get("ended") or ""):
        if re.fullmatch(r"20[0-9]{2}-(0[1-9]|1[0-2])", value):
            query.ended = value
        else:
            query.wrong["ended"] = "ended: write the month as YYYY-MM."


def _read_limit(params: Mapping[str, Any], query: Query) -> None:
    try:
        query.limit = int(params.get("limit") or 50)
    except (TypeError, ValueError):
        query.wrong["limit"] = "limit: give a whole number."
    if not 1 <= query.limit <= MAX_LIMIT:
        query.wrong["limit"] = f"limit: give between 1 and {MAX_LIMIT}."
        query.limit = 50


def _bound(value: str, *, ends: bool) -> datetime:
    """A bound of creation: an instant, or a day, which `to` means until its end."""
    at = reading.instant(value)
    return at + timedelta(days=1) if ends and re.fullmatch(r"\d{4}-\d\d-\d\d", value) else at


def _known(words: list[str], known: list[str], name: str, query: Query) -> list[str]:
    if unknown := [word for word in words if word not in known]:
        query.wrong[name] = f"{name}: “{unknown[0][:40]}” is not one of {', '.join(known)}."
    return [word for word in words if word in known]


def hidden(query: Query, user: User) -> int:
    """How many more of a month's ended changes the person cannot open: a report's drill-down ends
    with their number (A8).

    Asked by month, outcome and priority alone, which the report itself tells. Any other filter
    would let a stranger try words, people and components against what they may not see.
    """
    told = Query(ended=query.ended, outcome=query.outcome, priorities=query.priorities)
    asked = replace(query, sort=told.sort, limit=told.limit, cursor=told.cursor, wrong=told.wrong)
    if not query.ended or asked != told:
        return 0
    secret = ChangeRequest.objects.filter(confidential=True).exclude(
        pk__in=ChangeRequest.objects.visible_to(user).values("pk")
    )
    return changes(query, user, among=secret).count()


def changes(query: Query, user: User, among: ChangeQuerySet | None = None) -> ChangeQuerySet:
    """The visible changes that match, unsorted and unpaged."""
    found = ChangeRequest.objects.visible_to(user) if among is None else among
    if query.q:
        if re.fullmatch(r"(?i)cr-[\d-]*", query.q):
            found = found.filter(number__startswith=query.q.upper())
        else:
            found = found.filter(
                Q(search=SearchQuery(query.q, config="english", search_type="websearch"))
            )
    if query.states:
        found = found.filter(state__in=query.states)
    if query.priorities:
        found = found.filter(priority__in=query.priorities)
    if query.risks:
        found = found.filter(risk__in=query.risks)
    if query.components:
        found = found.filter(
            pk__in=ChangeRequest.components.through.objects.filter(
                component__slug__in=query.components
            ).values("changerequest")
        )
    if query.requester:
        found = found.filter(requester__username=query.requester)
    if query.mine:
        found = found.filter(requester=user)
    if query.watching:
        found = found.filter(watches__user=user)
    if query.outcome:
        found = found.filter(outcome=query.outcome)
    if query.ended:
        start = datetime.fromisoformat(f"{query.ended}-01").replace(tzinfo=UTC)
        end = (start + timedelta(days=32)).replace(day=1)
        found = found.filter(ended_at__gte=start, ended_at__lt=end).exclude(outcome="")
    if query.since:
        found = found.filter(created_at__gte=query.since)
    if query.until:
        found = found.filter(created_at__lt=query.until)
    return found


Row = TypeVar("Row", bound=Model)


@dataclass
class Page(Generic[Row]):
    """Rows, and the cursor of what follows them."""

    items: list[Row]
    next: str | None


def page(query: Query, found: QuerySet[ChangeRequest]) -> Page[ChangeRequest]:
    """One page by keyset: the cursor holds the last row's sort value and key, so that deep pages
    cost what the first does.

    Changes that have no such value (no slot, not ended) follow after those that have one; each part
    is read by its own index.
    """
    column = SORTS[query.sort][0].lstrip("-")
    after = decode_cursor(query.cursor) if query.cursor else None
    rows: list[ChangeRequest] = []
    if after is None or after[0] is not None:
        rows = _part(query, found.filter(**{f"{column}__isnull": False}), after)
        after = None
    if column != "created_at" and len(rows) <= query.limit:
        rows += _part(query, found.filter(**{f"{column}__isnull": True}), after)
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    return Page(rows, encode_cursor(getattr(rows[-1], column), rows[-1].pk) if more else None)


def _part(
    query: Query, found: QuerySet[ChangeRequest], after: tuple[datetime | None, int] | None
) -> list[ChangeRequest]:
    """One row more than a page, from those with the sort's value or from those without, beyond the
    cursor.
    """
    name, tie = SORTS[query.sort]
    column, beyond = name.lstrip("-"), "lt" if name.startswith("-") else "gt"
    if after is not None:
        value, key = after
        further = Q(**{f"id__{beyond}": key})
        found = found.filter(
            further
            if value is None
            else Q(**{f"{column}__{beyond}": value}) | (Q(**{column: value}) & further)
        )
    return list(found.order_by(name, tie)[: query.limit + 1])


def encode_cursor(value: datetime | None, key: int) -> str:
    """Where a page ended: the sorted value and the key, opaque to whoever carries it."""
    return (
        base64.urlsafe_b64encode(json.dumps([value.isoformat() if value else None, key]).encode())
        .decode()
        .rstrip("=")
    )


def decode_cursor(cursor: str) -> tuple[datetime | None, int]:
    """What `encode_cursor` made. Raises Invalid for anything else."""
    try:
        value, key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(key, int) or isinstance(key, bool) or not -(2**63) <= key < 2**63:
            raise ValueError
        return datetime.fromisoformat(value) if value is not None else None, key
    except (ValueError, TypeError, UnicodeError, RecursionError):
        raise Invalid(
            fields={"cursor": "cursor: take it from “next” of the page before."}
        ) from None
