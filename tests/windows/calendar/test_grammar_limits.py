"""Which recurrences a window may have, one step either side of each limit, and what is said of the
others (R72, R73).
"""

from __future__ import annotations

import pytest

from language.reading import Wrong
from windows.calendar.grammar import recurrence

LIKE = "write it like FREQ=WEEKLY;BYDAY=TU."
OFTEN = "a window opens at most once a day: FREQ is DAILY, WEEKLY, MONTHLY or YEARLY."
AMONG = (
    "BYSETPOS picks among plain weekdays or among days of the month; give one of the two, and with"
    " YEARLY the months."
)
NUMBER = "a number before a weekday, like 2TU, goes with FREQ=MONTHLY or YEARLY."
MIXED = "give all weekdays with a number, like 1MO,2TU, or all without."
SHORT = "it matches no day: none of its months is that long."
TAKEN = "use FREQ, INTERVAL, BYDAY, BYMONTH, BYMONTHDAY, BYSETPOS, WKST."
MONTHDAYS = "FREQ=MONTHLY;BYMONTHDAY="


def ahead(most: int) -> str:
    return f"INTERVAL is at most {most} here; whoever looks a year ahead must see it."


def coarser(part: str, freq: str) -> str:
    return f"{part} does not go with FREQ={freq} here; choose a coarser FREQ."


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (None, ""),
        ("  ", ""),
        ("FREQ=WEEKLY;BYDAY=TU", "FREQ=WEEKLY;BYDAY=TU"),
        ("rrule:freq=weekly; byday=tu, th", "FREQ=WEEKLY;BYDAY=TU,TH"),
        ("BYDAY=TU;FREQ=WEEKLY;WKST=SU", "BYDAY=TU;FREQ=WEEKLY;WKST=SU"),
    ],
)
def test_a_rule_is_kept_in_one_form(written: str | None, kept: str) -> None:
    """R72, R73: capitals, no spaces, without its name; nothing is an opening that comes once."""
    assert recurrence(written) == kept


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY",
        "FREQ=DAILY;INTERVAL=366",
        "FREQ=WEEKLY;INTERVAL=53",
        "FREQ=WEEKLY;BYMONTH=10;BYDAY=TU",
        "FREQ=MONTHLY;INTERVAL=12",
        "FREQ=MONTHLY;BYDAY=2TU,-1TH",
        "FREQ=MONTHLY;BYDAY=2TU",
        "FREQ=MONTHLY;BYMONTHDAY=31",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=20",
        "FREQ=MONTHLY;BYDAY=TU;BYSETPOS=4,-4",
        "FREQ=MONTHLY;BYMONTHDAY=1,8,15,22;BYSETPOS=-4",
        "FREQ=YEARLY",
        "FREQ=YEARLY;INTERVAL=4",
        "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH",
        "FREQ=YEARLY;BYMONTHDAY=31",
        "FREQ=YEARLY;BYMONTH=2",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-29",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29,30",
        "FREQ=YEARLY;BYMONTH=2,4;BYMONTHDAY=30",
        "FREQ=YEARLY;BYMONTH=4,2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYMONTH=2,4;BYDAY=TU;BYSETPOS=8",
        "FREQ=YEARLY;BYMONTH=2,4;BYMONTHDAY=1,15;BYSETPOS=4",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=28,29;BYSETPOS=2",
        MONTHDAYS
        + ",".join(map(str, [*range(1, 32), *range(-7, 0), *range(-27, -9)])),  # 200 characters
    ],
)
def test_what_comes_round_soon_and_reads_one_way_is_taken(rule: str) -> None:
    """R72, R73: up to each limit."""
    assert recurrence(rule) == rule


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("FREQ=WEEKLY;BYDAY=", "tick at least one day."),
        ("every Tuesday", LIKE),
        ("FREQ=DAILY;", LIKE),
        ("FREQ=DAILY;=2", LIKE),
        ("FREQ==DAILY", LIKE),
        (
            MONTHDAYS + ",".join(map(str, [*range(1, 32), *range(-6, 0), *range(-28, -9)])),
            LIKE,
        ),  # 201 characters
        ("FREQ=HOURLY", OFTEN),
        ("BYDAY=TU", OFTEN),
        ("FREQ=DAILY;COUNT=3", "leave COUNT out and give the last day in its own field."),
        ("FREQ=DAILY;UNTIL=20261231", "leave UNTIL out and give the last day in its own field."),
        ("FREQ=DAILY;BYHOUR=2", f"BYHOUR is not taken here; {TAKEN}"),
        ("FREQ=DAILY;ABCDEFGHIJKLMNOPQRSTU=2", f"ABCDEFGHIJKLMNOPQRST is not taken here; {TAKEN}"),
        ("FREQ=WEEKLY;BYDAY=TUE", "BYDAY cannot be “TUE”."),
        ("FREQ=WEEKLY;BYDAY=" + "A" * 41, f"BYDAY cannot be “{'A' * 40}”."),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL cannot be “0”."),
        ("FREQ=YEARLY;BYMONTH=13", "BYMONTH cannot be “13”."),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY cannot be “32”."),
        ("FREQ=DAILY;INTERVAL=367", ahead(366)),
        ("FREQ=WEEKLY;INTERVAL=54", ahead(53)),
        ("FREQ=MONTHLY;INTERVAL=13", ahead(12)),
        ("FREQ=YEARLY;INTERVAL=5", ahead(4)),
        ("FREQ=DAILY;BYDAY=TU", coarser("BYDAY", "DAILY")),
        ("FREQ=DAILY;BYMONTH=2", coarser("BYMONTH", "DAILY")),
        ("FREQ=DAILY;BYMONTHDAY=2", coarser("BYMONTHDAY", "DAILY")),
        ("FREQ=DAILY;BYSETPOS=1", coarser("BYSETPOS", "DAILY")),
        ("FREQ=DAILY;BYSETPOS=1;BYDAY=TU", coarser("BYDAY", "DAILY")),
        ("FREQ=WEEKLY;BYMONTHDAY=2", coarser("BYMONTHDAY", "WEEKLY")),
        ("FREQ=WEEKLY;BYDAY=TU;BYSETPOS=1", coarser("BYSETPOS", "WEEKLY")),
        ("FREQ=MONTHLY;BYMONTH=2", coarser("BYMONTH", "MONTHLY")),
        ("FREQ=WEEKLY;BYDAY=2TU", NUMBER),
        ("FREQ=WEEKLY;BYDAY=MO,2TU", NUMBER),
        ("FREQ=MONTHLY;BYDAY=MO,2TU", MIXED),
        ("FREQ=YEARLY;BYDAY=2TU,MO", MIXED),
        ("FREQ=MONTHLY;BYDAY=2TU;BYSETPOS=1", AMONG),
        ("FREQ=MONTHLY;BYSETPOS=1", AMONG),
        ("FREQ=MONTHLY;BYDAY=TU;BYMONTHDAY=2;BYSETPOS=1", AMONG),
        ("FREQ=YEARLY;BYDAY=TU;BYSETPOS=1", AMONG),
        ("FREQ=YEARLY;BYMONTHDAY=2;BYSETPOS=1", AMONG),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=21", "BYSETPOS picks at most the 20th here."),
        ("FREQ=MONTHLY;BYDAY=TU;BYSETPOS=1,-5", "BYSETPOS picks at most the 4th here."),
        ("FREQ=MONTHLY;BYMONTHDAY=1,8,15,22;BYSETPOS=5", "BYSETPOS picks at most the 4th here."),
        ("FREQ=YEARLY;BYMONTH=2,4;BYDAY=TU;BYSETPOS=9", "BYSETPOS picks at most the 8th here."),
        (
            "FREQ=YEARLY;BYMONTH=2,4;BYMONTHDAY=1,15;BYSETPOS=-5",
            "BYSETPOS picks at most the 4th here.",
        ),
        ("FREQ=MONTHLY;BYMONTHDAY=1,-31;BYSETPOS=2", "BYSETPOS picks at most the 1st here."),
        ("FREQ=MONTHLY;BYMONTHDAY=2,-31,-30;BYSETPOS=3", "BYSETPOS picks at most the 2nd here."),
        ("FREQ=MONTHLY;BYMONTHDAY=1,2,3,-31;BYSETPOS=-4", "BYSETPOS picks at most the 3rd here."),
        (
            "FREQ=MONTHLY;BYMONTHDAY=1,2,3,4,5,6,7,8,9,10,11;BYSETPOS=12",
            "BYSETPOS picks at most the 11th here.",
        ),
        (
            "FREQ=MONTHLY;BYMONTHDAY=" + ",".join(map(str, range(1, 22))) + ";BYSETPOS=22",
            "BYSETPOS picks at most the 21st here.",
        ),
        (
            "FREQ=MONTHLY;BYMONTHDAY=" + ",".join(map(str, range(1, 14))) + ";BYSETPOS=14",
            "BYSETPOS picks at most the 13th here.",
        ),
        (
            "FREQ=MONTHLY;BYMONTHDAY=" + ",".join(map(str, range(1, 13))) + ";BYSETPOS=13",
            "BYSETPOS picks at most the 12th here.",
        ),
        (
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29,30;BYSETPOS=2",
            "BYSETPOS picks at most the 1st here.",
        ),
        ("FREQ=MONTHLY;BYMONTHDAY=1,1;BYSETPOS=2", "BYMONTHDAY names 1 twice; once is enough."),
        ("FREQ=MONTHLY;BYDAY=TU,TU;BYSETPOS=8", "BYDAY names TU twice; once is enough."),
        ("FREQ=YEARLY;BYMONTH=2,2;BYDAY=TU;BYSETPOS=8", "BYMONTH names 2 twice; once is enough."),
        (
            f"FREQ=DAILY;{'A' * 21}=1;{'A' * 21}=2",
            f"{'A' * 20} stands twice; give it once, its values separated by commas.",
        ),
        (
            "FREQ=WEEKLY;BYDAY=TU;BYDAY=TH",
            "BYDAY stands twice; give it once, its values separated by commas.",
        ),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", SHORT),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-30,31", SHORT),
        ("FREQ=YEARLY;BYMONTH=2,4;BYMONTHDAY=31", SHORT),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30,31;BYSETPOS=1", SHORT),
    ],
)
def test_what_is_not_taken_is_told_what_to_write(rule: str, says: str) -> None:
    """R72, R73: one step beyond each limit, in whole sentences."""
    with pytest.raises(Wrong) as refused:
        recurrence(rule)
    assert str(refused.value) == says
