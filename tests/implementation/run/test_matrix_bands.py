"""The bands of the rollback decision matrix, by the value alone: when each severity's time to
investigate is over (A10).
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from implementation.matrix import MATRIX, Row

DETECTED = datetime(2026, 10, 6, 2, 50, tzinfo=UTC)


@pytest.mark.parametrize(
    ("severity", "label", "over", "action"),
    [
        ("P0", "P0 Critical", datetime(2026, 10, 6, 2, 55, tzinfo=UTC), "Immediate rollback"),
        (
            "P1",
            "P1 High",
            datetime(2026, 10, 6, 3, 5, tzinfo=UTC),
            "Investigate, rollback if no quick fix",
        ),
        (
            "P2",
            "P2 Medium",
            datetime(2026, 10, 6, 3, 20, tzinfo=UTC),
            "Investigate, consider rollback",
        ),
        ("P3", "P3 Low", None, "Investigate, fix forward"),
    ],
)
def test_each_severity_has_the_documents_time_and_action(
    severity: str, label: str, over: datetime | None, action: str
) -> None:
    """R100, R101, R102, R103: 5, 15 and 30 minutes from detection; P3 has no end."""
    row = MATRIX[severity]
    assert (row.label, row.band_ends_at(DETECTED), row.action) == (label, over, action)


def test_a_band_of_one_minute_ends_a_minute_after_detection() -> None:
    """R100, A11: the P0 band is a setting of the component, from one minute up; none means without
    an end.
    """
    assert Row("P0 Critical", 1, "Immediate rollback").band_ends_at(DETECTED) == datetime(
        2026, 10, 6, 2, 51, tzinfo=UTC
    )
    assert Row("P0 Critical", None, "Immediate rollback").band_ends_at(DETECTED) is None
