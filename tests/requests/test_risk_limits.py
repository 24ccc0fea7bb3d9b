"""The risk that is suggested, one step either side of each limit, with the words in which its
weights are shown (A18).
"""

from __future__ import annotations

import pytest

from requests.risk import Record, Suggestion, is_below, rank, suggest

RECORD = "changes of its components were rolled back or failed in a year"


@pytest.mark.parametrize(
    ("answers", "lines", "level"),
    [
        ({"wide": True}, [("others depend on it", 2)], "low"),
        ({"irreversible": True}, [("hard to take back", 3)], "medium"),
        ({"tested": False}, [("not tried before", 2)], "low"),
        ({"user_facing": True}, [("users would notice", 2)], "low"),
        ({"data": True}, [("changes stored data", 2)], "low"),
        ({"first": True}, [("done for the first time", 1)], "low"),
        ({"wide": True, "data": True, "user_facing": True},
            [("others depend on it", 2), ("users would notice", 2), ("changes stored data", 2)],
            "medium"),
        (
            {"wide": True, "data": True, "user_facing": True, "first": True},
            [("others depend on it", 2), ("users would notice", 2), ("changes stored data", 2),
                ("done for the first time", 1)],
            "high",
        ),
        ({"wide": False, "tested": True}, [], "low"),
    ],
)  # fmt: skip
def test_every_answer_has_its_weight_and_its_words(
    answers: dict[str, bool], lines: list[tuple[str, int]], level: str
) -> None:
    """R21: medium from 3 points, high from 7; what was not answered weighs nothing."""
    assert suggest(answers, Record()) == Suggestion(
        level, sum(points for _, points in lines), lines
    )


@pytest.mark.parametrize(
    ("record", "lines"),
    [
        (Record(4, 4), []),
        (Record(5, 0), []),
        (Record(5, 1), [(f"1 of 5 {RECORD}", 2)]),
        (Record(10, 1), [(f"1 of 10 {RECORD}", 2)]),
        (Record(11, 1), [(f"1 of 11 {RECORD}", 1)]),
        (Record(100, 10), [(f"10 of 100 {RECORD}", 2)]),
        (Record(100, 9), [(f"9 of 100 {RECORD}", 1)]),
    ],
)
def test_the_record_counts_from_five_changes_and_doubles_from_a_tenth(
    record: Record, lines: list[tuple[str, int]]
) -> None:
    """R21: what became of the components' changes is one more weight, shown like the others."""
    assert suggest({"first": False}, record) == Suggestion(
        "low", sum(points for _, points in lines), lines
    )


def test_nothing_is_suggested_before_something_is_answered() -> None:
    """R21: a bad record alone suggests nothing."""
    assert suggest({}, Record(100, 100)) is None


def test_levels_have_an_order_and_an_unset_one_lies_below_all() -> None:
    """A35: nobody comes down by way of a level that is not set."""
    assert [rank(level) for level in ("", "low", "medium", "high")] == [-1, 0, 1, 2]


@pytest.mark.parametrize(
    ("level", "other", "below"),
    [
        ("low", "medium", True),
        ("medium", "high", True),
        ("medium", "medium", False),
        ("high", "medium", False),
        ("", "low", False),
        ("low", "", False),
        ("", "", False),
    ],
)
def test_only_a_lower_level_is_below(level: str, other: str, below: bool) -> None:
    """R21: whoever lowers the risk needs a reviewer; the same is not lower, and one that is not set
    is not compared.
    """
    assert is_below(level, other) is below
