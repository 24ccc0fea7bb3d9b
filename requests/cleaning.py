"""Takes what people and pipelines send and makes it a change's values, or says per field what is
wrong and what to do.

Form and API both come through `clean`, so that they can never disagree about a field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.utils import timezone

from accounts.models import User
from language import reading
from language.refusal import Invalid
from requests import content, risk
from requests.models import MAX_MINUTES, ChangeRequest, Component

MAX_ITEMS = 50
NUMBER = re.compile(r"^CR-\d{4}-\d{2}-\d{2}-\d{3,}$")
WRITABLE_BESIDES = ("requested_window", "external_refs", "implementer", "confidential", "major")
WRITABLE = frozenset(content.NAMES) | frozenset(WRITABLE_BESIDES)


def _strategy(value: Any) -> str:
    return reading.one_of(ChangeRequest.Strategy.values)(value) or ChangeRequest.Strategy.ROLLING


def _minutes(least: int) -> Callable[[Any], int | None]:
    def cleaner(value: Any) -> int | None:
        if value is None or value == "":
            return None
        if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,12}", value.strip()):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise reading.Wrong("Give whole minutes, like 45.")
        if not least <= value <= MAX_MINUTES:
            raise reading.Wrong(f"Give between {least} and {MAX_MINUTES:,} minutes.")
        return value

    return cleaner


def _actual(value: Any) -> datetime | None:
    """An instant at which work began or ended; it has passed."""
    if value is None or value == "":
        return None
    at = reading.instant(value)
    if at > timezone.now():
        raise reading.Wrong("That is still to come; give an instant that has passed.")
    return at


class Wanted(NamedTuple):
    """The start that a requester asks for, and why it cannot wait if it will be less than 24 hours
    away by then (A7, A12).
    """

    start: datetime
    short_notice_reason: str = ""


def _window(value: Any) -> Wanted | None:
    if value is None or value == "":
        return None
    if not isinstance(value, Mapping) or set(value) - {"start", "end", "short_notice_reason"}:
        raise reading.Wrong("Give the window's start, like {“start”: “2026-10-06T02:00Z”}.")
    if value.get("start") in (None, ""):
        return None
    start = reading.instant(value["start"])
    if value.get("end") and reading.instant(value["end"]) <= start:
        raise reading.Wrong("The window ends before it starts; put the end after the start.")
    return Wanted(start, reading.text(2000)(value.get("short_notice_reason")))


def component_list(value: Any) -> list[Component]:
    """Reads a list of component names, each once. Raises Wrong for one that is not in the
    catalogue.
    """
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(slug, str) for slug in value):
        raise reading.Wrong("Give a list of component names.")
    if len(value) > MAX_ITEMS:
        raise reading.Wrong(f"Name at most {MAX_ITEMS} components.")
    names = [reading.prose(slug) for slug in value]
    found = {component.slug: component for component in Component.objects.filter(slug__in=names)}
    unknown = [slug for slug in value if slug not in found]
    if unknown:
        raise reading.Wrong(
            f"No component is called “{unknown[0][:60]}”; the catalogue is at"
            " /settings/components/."
        )
    return [found[slug] for slug in dict.fromkeys(value)]


def _dependencies(value: Any) -> list[str] | None:
    if value is None:
        return None
    if isinstance(value, str):
        if not value.strip():
            return None
        value = [] if value.strip().lower() in {"none", "none."} else re.split(r"[\n,]+", value)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise reading.Wrong("Give a list of change numbers or system names, or “none”.")
    if len(value) > MAX_ITEMS:
        raise reading.Wrong(f"Name at most {MAX_ITEMS} dependencies.")
    items = [reading.text(200)(item) for item in value]
    return [item for item in dict.fromkeys(items) if item and item.lower() != "none"]


def _rollback_tested(value: Any) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise reading.Wrong("Give what was tried, where, when and a link.")
    if unknown := set(value) - {"what", "where", "when", "link", "change"}:
        raise reading.Wrong(
            f"“{min(map(str, unknown))}” is not part of the evidence; give what, where, when, link,"
            " or an earlier change."
        )
    evidence = {
        part: reading.text(500)(value.get(part)) for part in ("what", "where", "when", "link")
    }
    if earlier := reading.text(24)(value.get("change")):
        if not NUMBER.match(earlier):
            raise reading.Wrong(f"“{earlier}” is no change's number, like CR-2026-10-06-001.")
        evidence["change"] = earlier
    if evidence["link"] and not reading.is_web_address(evidence["link"]):
        raise reading.Wrong("The link must begin with https:// or http://.")
    return evidence if any(evidence.values()) else None


def _external_refs(value: Any) -> list[dict[str, str]]:
    if value is None:
        return []
    if (
        not isinstance(value, list)
        or len(value) > MAX_ITEMS
        or not all(isinstance(item, Mapping) for item in value)
    ):
        raise reading.Wrong("Give a list of {system, key, url}.")
    refs = []
    for item in value:
        ref = {part: reading.text(300)(item.get(part)) for part in ("system", "key", "url")}
        if not ref["key"]:
            raise reading.Wrong("Each reference needs a key, like SHOP-8841.")
        if ref["url"] and not reading.is_web_address(ref["url"]):
            raise reading.Wrong("A reference's url must begin with https:// or http://.")
        refs.append(ref)
    return refs


def person(value: Any) -> User | None:
    """Reads the user name of somebody active, or nobody. Raises Wrong."""
    if value in (None, ""):
        return None
    user = User.objects.filter(username=reading.prose(value)).first()
    if user is None or not user.is_active:
        raise reading.Wrong(
            f"{f'{user} is deactivated' if user else f'Nobody here is called “{str(value)[:60]}”'};"
            " give the username of somebody else."
        )
    return user


def username_of(said: str) -> str:
    """The username of somebody whom a person named in a form: by username, or by a full name that
    only one active person has.
    """
    if User.objects.filter(username=said).exists():
        return said
    named = list(
        User.objects.filter(name__iexact=said, is_active=True).values_list("username", flat=True)[
            :2
        ]
    )
    return named[0] if len(named) == 1 else said


def _implementer(value: Any) -> User | None:
    found = person(value)
    if found is not None and not found.is_devops:
        raise reading.Wrong(f"{found} holds no DevOps role; the implementer does (A28).")
    return found


def _risk_answers(value: Any) -> dict[str, bool]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or set(value) - risk.KEYS:
        raise reading.Wrong(f"Answer some of {', '.join(sorted(risk.KEYS))} with true or false.")
    answers = {key: reading.yes_no(answer) for key, answer in value.items()}
    return {key: answer for key, answer in answers.items() if answer is not None}


CLEANERS: dict[str, Callable[[Any], Any]] = {
    "priority": reading.one_of(ChangeRequest.Priority.values),
    "emergency_kind": reading.one_of(ChangeRequest.EmergencyKind.values),
    "emergency_reference": reading.text(200),
    "actual_start": _actual,
    "actual_end": _actual,
    "summary": reading.text(200),
    "reason": reading.text(reading.MAX_TEXT),
    "components": component_list,
    "risk": reading.one_of(ChangeRequest.Risk.values),
    "implementation_steps": reading.text(reading.MAX_TEXT),
    "rollback_plan": reading.text(reading.MAX_TEXT),
    "rollback_tested": _rollback_tested,
    "rollback_minutes": _minutes(0),
    "testing_plan": reading.text(reading.MAX_TEXT),
    "dependencies": _dependencies,
    "strategy": _strategy,
    "downtime_required": reading.yes_no,
    "downtime_minutes": _minutes(0),
    "users_affected": reading.yes_no,
    "user_impact": reading.text(reading.MAX_TEXT),
    "performance_impact": reading.text(reading.MAX_TEXT),
    "security_impact": reading.text(reading.MAX_TEXT),
    "affects_authentication": reading.yes_no,
    "affects_authorization": reading.yes_no,
    "affects_data_access": reading.yes_no,
    "affects_network": reading.yes_no,
    "requested_date": reading.calendar_day,
    "estimated_minutes": _minutes(1),
    "requested_window": _window,
    "external_refs": _external_refs,
    "implementer": _implementer,
    "confidential": reading.flag,
    "major": reading.flag,
    "risk_answers": _risk_answers,
    "strategy_reason": reading.text(2000),
    "no_way_back": reading.one_of(ChangeRequest.NoWayBack.values),
    "no_way_back_reason": reading.text(2000),
}


def clean(values: Mapping[str, Any], change: ChangeRequest | None = None) -> dict[str, Any]:
    """Values as the model keeps them, for the fields given. Raises Invalid with one entry per wrong
    field.

    A date or window that has passed is refused when it is newly given, not when it was there
    before.
    """
    wrong: dict[str, str] = {}
    cleaned: dict[str, Any] = {}
    for name, value in values.items():
        if name not in CLEANERS:
            wrong[str(name)[:60]] = "There is no such field; see the API's description of a change."
            continue
        try:
            cleaned[name] = CLEANERS[name](value)
        except reading.Wrong as problem:
            wrong[name] = f"{label(name)}: {problem}"
    now = timezone.now()
    day, window = cleaned.get("requested_date"), cleaned.get("requested_window")
    if day and day < now.date() and (change is None or change.requested_date != day):
        wrong["requested_date"] = (
            f"Requested date: {day} has passed; give today, {now:%Y-%m-%d}, or later."
        )
    if (
        window
        and window.start < now
        and (change is None or change.requested_window_start != window.start)
    ):
        wrong["requested_window"] = (
            f"Requested window: {window.start:%Y-%m-%d %H:%M} UTC has passed; choose a later one."
        )
    wrong |= _wrong_times(cleaned, change)
    if wrong:
        raise Invalid(fields=wrong)
    return cleaned


def _wrong_times(cleaned: Mapping[str, Any], change: ChangeRequest | None) -> dict[str, str]:
    """Real times belong to an emergency that is filed while it runs or afterwards (A33): an end
    needs its start, before it.
    """
    if not {"actual_start", "actual_end", "priority"} & set(cleaned):
        return {}

    def now_says(name: str) -> Any:
        return cleaned[name] if name in cleaned else getattr(change, name, None)

    start, end = now_says("actual_start"), now_says("actual_end")
    if (start or end) and now_says("priority") not in (None, "", "P0"):
        return {
            (
                "actual_start" if start else "actual_end"
            ): "Real times: only a P0 is filed after it began; leave them out, or choose P0."
        }
    if end and not start:
        return {"actual_start": "Real start: give it, too; an end without a start says nothing."}
    if start and end and end < start:
        return {
            "actual_end": (
                f"Real end: it lies before the start, {start:%Y-%m-%d %H:%M} UTC; give a later"
                " instant."
            )
        }
    if (
        (start or end)
        and change is not None
        and change.submitted_at
        and {"actual_start", "actual_end"} & set(cleaned)
    ):
        return {"actual_start": "Real times: they are given when a P0 is filed, not afterwards."}
    return {}


def label(name: str) -> str:
    """A field's label; of what is no field, its name in words."""
    field = content.BY_NAME.get(name)
    return field.label if field else name.replace("_", " ").capitalize()
