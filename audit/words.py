"""What people wrote, kept beside the chain: the event holds a salted digest of each text, the
guarded row the text and the salt (A41).

So the trail holds the words, and can forget a secret: a redaction takes a text and its salt, and
the digest in the chain stays.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

#: What stands in the place of words that were taken.
REDACTED = "[redacted]"
#: Names of facts that somebody typed. In the trail they are words wherever they stand: alone, in
#: `fields` or in `was`.
TYPED = frozenset(
    {
        # reasons, remarks and answers
        "reason", "override_reason", "short_notice_reason", "requested_window_reason",
        "strategy_reason", "called", "message", "note",
        "no_way_back_reason", "output", "comment", "checklist", "text", "command", "external_refs",
        # a review
        "deviations", "lessons", "improvements",
        # what a change says in words (requests/content.py)
        "summary", "emergency_reference", "implementation_steps", "rollback_plan",
        "rollback_tested", "testing_plan", "dependencies",
        "user_impact", "performance_impact", "security_impact",
    }
)  # fmt: skip
DIGESTS = "digests"


def split(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(facts, words) of an event's data; words by their dotted place, as in `fields.summary`. What
    is empty stays among the facts.
    """
    facts: dict[str, Any] = {}
    words: dict[str, Any] = {}
    for name, value in data.items():
        if name in TYPED and _says(value):
            words[name] = value
        elif isinstance(value, dict):
            facts[name], below = split(value)
            words |= {f"{name}.{place}": text for place, text in below.items()}
        else:
            facts[name] = value
    return facts, words


def _says(value: Any) -> bool:
    return any(text.strip() for text in strings(value)) or (isinstance(value, dict) and bool(value))


def strings(value: Any) -> Iterator[str]:
    """Every text within a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def without(value: Any, text: str) -> Any:
    """The JSON value with that text taken out wherever it stands as a whole."""
    if isinstance(value, dict):
        return {name: without(item, text) for name, item in value.items()}
    if isinstance(value, list):
        return [without(item, text) for item in value]
    return REDACTED if value == text else value


def merge(facts: Mapping[str, Any], words: Mapping[str, Any]) -> dict[str, Any]:
    """The data as it was given to `record`; words that were taken say so."""
    data = {name: value for name, value in facts.items() if name != DIGESTS}
    for place, value in words.items():
        *above, name = place.split(".")
        home = data
        for step in above:
            home[step] = dict(home.get(step) or {})
            home = home[step]
        home[name] = REDACTED if value is None else value
    return data


def salt() -> str:
    """Fresh for each text, so that a short one is not found by trying (128 bits, hexadecimal)."""
    return secrets.token_hex(16)


def digest(salt: str, value: Any) -> str:
    """`sha256:<hex>` of salt and value; the value as JSON with sorted keys and no spaces,
    in UTF-8.
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(f'{salt}{text}'.encode('utf-8', 'surrogatepass')).hexdigest()}"


def sealed(words: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """(salts, digests) of an event's words, by place."""
    salts = {place: salt() for place in words}
    return salts, {place: digest(salts[place], value) for place, value in words.items()}
