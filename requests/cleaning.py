"""Takes what people and pipelines send and makes it a change's values, or says per field what is wrong and what to do.

Form and API both come through `clean`, so that they can never disagree about a field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.utils import timezone

from accounts.models import User
from language.refusal import Invalid
from requests import content, risk
from requests.models import MAX_MINUTES, ChangeRequest, Component

MAX_TEXT = 20_000
MAX_ITEMS = 50
NUMBER = re.compile(r"^CR-\d{4}-\d{2}-\d{2}-\d{3,}$")
WRITABLE_BESIDES = ("requested_window", "external_refs", "implementer", "confidential", "major")
WRITABLE = frozenset(content.NAMES) | frozenset(WRITABLE_BESIDES)


class Wrong(Exception):
    """One field's value cannot be taken; the text says why and what to do."""


#: White space, and signs that have no width: a text of these alone is none.
UNSEEN = " \t\n\r\f\v\u00a0\u200b\u200c\u200d\u2060\u3000\ufeff"


def _text(limit: int) -> Callable[[Any], str]:
    def cleaner(value: Any) -> str:
        if value is None:
            return ""
        if not isinstance(value, str):
            raise Wrong("Write text.")
        if len(value) > limit:
            raise Wrong(f"Shorten it to {limit:,} characters; it has {len(value):,}.")
        if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise Wrong("It has characters that cannot be stored; remove them.")
        return value.replace("\r\n", "\n").strip(UNSEEN)

    return cleaner


#: A text as people write it: reasons, comments, notes.
prose = _text(MAX_TEXT)


def said(field: str, value: Any, what: str, if_empty: str = "", limit: int = 2000) -> str:
    """A reason as it is kept, or Invalid at its field; `if_empty` makes it needed and says what to write."""
    try:
        text = _text(limit)(value)
    except Wrong as problem:
        raise Invalid(fields={field: f"{what}: {problem}"}) from None
    if if_empty and not text:
        raise Invalid(fields={field: f"{what}: {if_empty}"})
    return text


def written(field: str, value: Any, what: str, *, needed: bool = True, limit: int = MAX_TEXT) -> str:
    """A longer text of a run, needed unless said otherwise."""
    return said(field, value, what, "this is needed; a sentence is enough." if needed else "", limit)


def is_web_address(value: str) -> bool:
    """Whether it is a link that a browser may follow."""
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


def _one_of(choices: list[str]) -> Callable[[Any], str]:
    def cleaner(value: Any) -> str:
        if value in (None, ""):
            return ""
        if value not in choices:
            raise Wrong(f"Choose one of: {', '.join(choices)}.")
        return str(value)

    return cleaner


def _strategy(value: Any) -> str:
    return _one_of(ChangeRequest.Strategy.values)(value) or ChangeRequest.Strategy.ROLLING


def _yes_no(value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise Wrong("Answer yes or no (true or false).")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong("Answer true or false.")
    return value


def _minutes(least: int) -> Callable[[Any], int | None]:
    def cleaner(value: Any) -> int | None:
        if value is None or value == "":
            return None
        if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,12}", value.strip()):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Wrong("Give whole minutes, like 45.")
        if not least <= value <= MAX_MINUTES:
            raise Wrong(f"Give between {least} and {MAX_MINUTES:,} minutes.")
        return value

    return cleaner


def calendar_day(value: Any) -> date | None:
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str):
            day = date.fromisoformat(value.strip())
        elif isinstance(value, date) and not isinstance(value, datetime):
            day = value
        else:
            raise ValueError
    except ValueError:
        raise Wrong("Write the date as YYYY-MM-DD, like 2026-10-06.") from None
    if not 2000 <= day.year <= 2100:
        raise Wrong("Give a date between 2000 and 2100.")
    return day


def instant(value: Any) -> datetime:
    """An ISO 8601 instant, in UTC and whole seconds; without a zone it is UTC. Raises Wrong."""
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip().replace("Z", "+00:00"))
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise Wrong("Write the instant as 2026-10-06T02:00Z.") from None
    if not 1900 <= at.year <= 2199:
        raise Wrong("Give an instant between 1900 and 2199.")
    return at


def _actual(value: Any) -> datetime | None:
    """An instant at which work began or ended; it has passed."""
    if value is None or value == "":
        return None
    at = instant(value)
    if at > timezone.now():
        raise Wrong("That is still to come; give an instant that has passed.")
    return at


class Wanted(NamedTuple):
    """The start that a requester asks for, and why it cannot wait if it will be less than 24 hours away by then (A7, A12)."""

    start: datetime
    short_notice_reason: str = ""


def _window(value: Any) -> Wanted | None:
    if value is None or value == "":
        return None
    if not isinstance(value, Mapping) or set(value) - {"start", "end", "short_notice_reason"}:
        raise Wrong("Give the window's start, like {“start”: “2026-10-06T02:00Z”}.")
    if value.get("start") in (None, ""):
        return None
    start = instant(value["start"])
    if value.get("end") and instant(value["end"]) <= start:
        raise Wrong("The window ends before it starts; put the end after the start.")
    return Wanted(start, _text(2000)(value.get("short_notice_reason")))


def names(text: str) -> list[str]:
    """What somebody typed between commas and spaces."""
    return [name for name in re.split(r"[\s,]+", text) if name]


def component_list(value: Any) -> list[Component]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(slug, str) for slug in value):
        raise Wrong("Give a list of component names.")
    if len(value) > MAX_ITEMS:
        raise Wrong(f"Name at most {MAX_ITEMS} components.")
    names = [prose(slug) for slug in value]
    found = {component.slug: component for component in Component.objects.filter(slug__in=names)}
    unknown = [slug for slug in value if slug not in found]
    if unknown:
        raise Wrong(f"No component is called “{unknown[0][:60]}”; the catalogue is at /settings/components/.")
    return [found[slug] for slug in dict.fromkeys(value)]


def _dependencies(value: Any) -> list[str] | None:
    if value is None:
        return None
    if isinstance(value, str):
        if not value.strip():
            return None
        value = [] if value.strip().lower() in {"none", "none."} else re.split(r"[\n,]+", value)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Wrong("Give a list of change numbers or system names, or “none”.")
    if len(value) > MAX_ITEMS:
        raise Wrong(f"Name at most {MAX_ITEMS} dependencies.")
    items = [_text(200)(item) for item in value]
    return [item for item in dict.fromkeys(items) if item and item.lower() != "none"]


def _rollback_tested(value: Any) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise Wrong("Give what was tried, where, when and a link.")
    if unknown := set(value) - {"what", "where", "when", "link", "change"}:
        raise Wrong(f"“{min(map(str, unknown))}” is not part of the evidence; give what, where, when, link, or an earlier change.")
    evidence = {part: _text(500)(value.get(part)) for part in ("what", "where", "when", "link")}
    if earlier := _text(24)(value.get("change")):
        if not NUMBER.match(earlier):
            raise Wrong(f"“{earlier}” is no change's number, like CR-2026-10-06-001.")
        evidence["change"] = earlier
    if evidence["link"] and not is_web_address(evidence["link"]):
        raise Wrong("The link must begin with https:// or http://.")
    return evidence if any(evidence.values()) else None


def _external_refs(value: Any) -> list[dict[str, str]]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MAX_ITEMS or not all(isinstance(item, Mapping) for item in value):
        raise Wrong("Give a list of {system, key, url}.")
    refs = []
    for item in value:
        ref = {part: _text(300)(item.get(part)) for part in ("system", "key", "url")}
        if not ref["key"]:
            raise Wrong("Each reference needs a key, like SHOP-8841.")
        if ref["url"] and not is_web_address(ref["url"]):
            raise Wrong("A reference's url must begin with https:// or http://.")
        refs.append(ref)
    return refs


def person(value: Any) -> User | None:
    if value in (None, ""):
        return None
    user = User.objects.filter(username=prose(value)).first()
    if user is None or not user.is_active:
        raise Wrong(
            f"{f'{user} is deactivated' if user else f'Nobody here is called “{str(value)[:60]}”'}; give the username of somebody else."
        )
    return user


def username_of(said: str) -> str:
    """The username of somebody whom a person named in a form: by username, or by a full name that only one active person has."""
    if User.objects.filter(username=said).exists():
        return said
    named = list(User.objects.filter(name__iexact=said, is_active=True).values_list("username", flat=True)[:2])
    return named[0] if len(named) == 1 else said


def _implementer(value: Any) -> User | None:
    found = person(value)
    if found is not None and not found.is_devops:
        raise Wrong(f"{found} holds no DevOps role; the implementer does (A28).")
    return found


def _risk_answers(value: Any) -> dict[str, bool]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or set(value) - risk.KEYS:
        raise Wrong(f"Answer some of {', '.join(sorted(risk.KEYS))} with true or false.")
    answers = {key: _yes_no(answer) for key, answer in value.items()}
    return {key: answer for key, answer in answers.items() if answer is not None}


CLEANERS: dict[str, Callable[[Any], Any]] = {
    "priority": _one_of(ChangeRequest.Priority.values),
    "emergency_kind": _one_of(ChangeRequest.EmergencyKind.values),
    "emergency_reference": _text(200),
    "actual_start": _actual,
    "actual_end": _actual,
    "summary": _text(200),
    "reason": _text(MAX_TEXT),
    "components": component_list,
    "risk": _one_of(ChangeRequest.Risk.values),
    "implementation_steps": _text(MAX_TEXT),
    "rollback_plan": _text(MAX_TEXT),
    "rollback_tested": _rollback_tested,
    "rollback_minutes": _minutes(0),
    "testing_plan": _text(MAX_TEXT),
    "dependencies": _dependencies,
    "strategy": _strategy,
    "downtime_required": _yes_no,
    "downtime_minutes": _minutes(0),
    "users_affected": _yes_no,
    "user_impact": _text(MAX_TEXT),
    "performance_impact": _text(MAX_TEXT),
    "security_impact": _text(MAX_TEXT),
    "affects_authentication": _yes_no,
    "affects_authorization": _yes_no,
    "affects_data_access": _yes_no,
    "affects_network": _yes_no,
    "requested_date": calendar_day,
    "estimated_minutes": _minutes(1),
    "requested_window": _window,
    "external_refs": _external_refs,
    "implementer": _implementer,
    "confidential": _flag,
    "major": _flag,
    "risk_answers": _risk_answers,
    "strategy_reason": _text(2000),
    "no_way_back": _one_of(ChangeRequest.NoWayBack.values),
    "no_way_back_reason": _text(2000),
}


def clean(values: Mapping[str, Any], change: ChangeRequest | None = None) -> dict[str, Any]:
    """Values as the model keeps them, for the fields given. Raises Invalid with one entry per wrong field.

    A date or window that has passed is refused when it is newly given, not when it was there before.
    """
    wrong: dict[str, str] = {}
    cleaned: dict[str, Any] = {}
    for name, value in values.items():
        if name not in CLEANERS:
            wrong[str(name)[:60]] = "There is no such field; see the API's description of a change."
            continue
        try:
            cleaned[name] = CLEANERS[name](value)
        except Wrong as problem:
            wrong[name] = f"{label(name)}: {problem}"
    now = timezone.now()
    day, window = cleaned.get("requested_date"), cleaned.get("requested_window")
    if day and day < now.date() and (change is None or change.requested_date != day):
        wrong["requested_date"] = f"Requested date: {day} has passed; give today, {now:%Y-%m-%d}, or later."
    if window and window.start < now and (change is None or change.requested_window_start != window.start):
        wrong["requested_window"] = f"Requested window: {window.start:%Y-%m-%d %H:%M} UTC has passed; choose a later one."
    wrong |= _wrong_times(cleaned, change)
    if wrong:
        raise Invalid(fields=wrong)
    return cleaned


def _wrong_times(cleaned: Mapping[str, Any], change: ChangeRequest | None) -> dict[str, str]:
    """Real times belong to an emergency that is filed while it runs or afterwards (A33): an end needs its start, before it."""
    if not {"actual_start", "actual_end", "priority"} & set(cleaned):
        return {}

    def now_says(name: str) -> Any:
        return cleaned[name] if name in cleaned else getattr(change, name, None)

    start, end = now_says("actual_start"), now_says("actual_end")
    if (start or end) and now_says("priority") not in (None, "", "P0"):
        return {"actual_start" if start else "actual_end": "Real times: only a P0 is filed after it began; leave them out, or choose P0."}
    if end and not start:
        return {"actual_start": "Real start: give it, too; an end without a start says nothing."}
    if start and end and end < start:
        return {"actual_end": f"Real end: it lies before the start, {start:%Y-%m-%d %H:%M} UTC; give a later instant."}
    if (start or end) and change is not None and change.submitted_at and {"actual_start", "actual_end"} & set(cleaned):
        return {"actual_start": "Real times: they are given when a P0 is filed, not afterwards."}
    return {}


def label(name: str) -> str:
    field = content.BY_NAME.get(name)
    return field.label if field else name.replace("_", " ").capitalize()
