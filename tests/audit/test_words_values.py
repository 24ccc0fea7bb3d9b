"""What somebody typed and what is a fact, as values: taken apart, sealed, put together
again (A41).
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest

from audit import words

SALT = "00112233445566778899aabbccddeeff"


@pytest.mark.parametrize(
    ("data", "facts", "said"),
    [
        ({}, {}, {}),
        ({"state": "approved"}, {"state": "approved"}, {}),
        ({"reason": "It is late", "priority": "P1"}, {"priority": "P1"}, {"reason": "It is late"}),
        ({"reason": ""}, {"reason": ""}, {}),
        ({"reason": " \n"}, {"reason": " \n"}, {}),
        ({"reason": None}, {"reason": None}, {}),
        ({"dependencies": []}, {"dependencies": []}, {}),
        (
            {"dependencies": ["", "CR-2026-10-01-001"]},
            {},
            {"dependencies": ["", "CR-2026-10-01-001"]},
        ),
        ({"checklist": {}}, {"checklist": {}}, {}),
        ({"checklist": {"T1": True}}, {}, {"checklist": {"T1": True}}),
        ({"rollback_tested": {"what": ""}}, {}, {"rollback_tested": {"what": ""}}),
        (
            {"fields": {"summary": "S", "risk": "low"}, "was": {"fields": {"reason": "R"}}},
            {"fields": {"risk": "low"}, "was": {"fields": {}}},
            {"fields.summary": "S", "was.fields.reason": "R"},
        ),
        (
            {"numbers": ["CR-2026-10-01-001"], "late": True},
            {"numbers": ["CR-2026-10-01-001"], "late": True},
            {},
        ),
    ],
)
def test_what_somebody_typed_is_told_from_the_facts(
    data: dict[str, Any], facts: dict[str, Any], said: dict[str, Any]
) -> None:
    """R148, R149: words by their dotted place; what is empty, or no text, stays among the facts."""
    assert words.split(data) == (facts, said)
    assert words.merge(facts, said) == data


def test_every_text_of_a_value_is_found_however_deep() -> None:
    assert list(
        words.strings({"a": "one", "b": ["two", {"c": "three"}, 4, None, True], "d": {}})
    ) == ["one", "two", "three"]
    assert list(words.strings("alone")) == ["alone"]
    assert list(words.strings(7)) == []


def test_a_secret_is_taken_out_where_it_stands_as_a_whole() -> None:
    """R148: nothing besides it changes, nor a text that only holds it."""
    value = {
        "a": "hunter2",
        "b": ["hunter2", "not hunter2", 2],
        "c": {"hunter2": None, "d": [["hunter2"]]},
    }
    assert words.without(value, "hunter2") == {
        "a": "[redacted]",
        "b": ["[redacted]", "not hunter2", 2],
        "c": {"hunter2": None, "d": [["[redacted]"]]},
    }


def test_words_that_were_taken_say_so_in_their_place() -> None:
    """R148: and the digests are no part of what was recorded."""
    facts = {
        "digests": {"reason": "sha256:1"},
        "fields": {"risk": "low"},
        "state": "approved",
        "was": None,
    }
    said = {"reason": None, "fields.summary": "S", "was.reason": "R", "new.below.reason": None}
    assert words.merge(facts, said) == {
        "fields": {"risk": "low", "summary": "S"},
        "state": "approved",
        "was": {"reason": "R"},
        "reason": "[redacted]",
        "new": {"below": {"reason": "[redacted]"}},
    }
    assert facts["fields"] == {"risk": "low"}, "what was given stays as it was"


def test_a_digest_is_over_the_salt_and_the_value_in_one_form() -> None:
    """R148: sorted keys, no spaces, letters as they are, so that anybody can check it."""
    expected = hashlib.sha256(f'{SALT}{{"a":"ü","b":[1,true]}}'.encode()).hexdigest()
    assert words.digest(SALT, {"b": [1, True], "a": "ü"}) == f"sha256:{expected}"
    assert (
        words.digest(SALT, "It is late")
        == "sha256:" + hashlib.sha256(f'{SALT}"It is late"'.encode()).hexdigest()
    )
    lone = hashlib.sha256(SALT.encode() + b'"\xed\xa0\x80"').hexdigest()
    assert words.digest(SALT, "\ud800") == f"sha256:{lone}", (
        "half a pair of surrogates, as a JSON body may bring it"
    )


def test_each_text_has_a_fresh_salt_of_128_bits() -> None:
    """R148: two equal texts have different digests; a short one is not found by trying."""
    salts, digests = words.sealed({"reason": "yes", "fields.summary": "yes"})
    assert set(salts) == set(digests) == {"reason", "fields.summary"}
    assert all(re.fullmatch("[0-9a-f]{32}", salt) for salt in salts.values())
    assert salts["reason"] != salts["fields.summary"]
    assert digests == {place: words.digest(salts[place], "yes") for place in salts}
