"""The rollback decision matrix (R100-R103, A10): issue severity → what to do, and how long its band
lasts. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Row:
    """One severity of the decision matrix: its name, minutes to investigate, and what is done."""

    label: str
    minutes: int | None
    action: str

    def band_ends_at(self, detected: datetime) -> datetime | None:
        """When this severity's time to investigate is over; None for a severity without an end."""
        return detected + timedelta(minutes=self.minutes) if self.minutes else None


MATRIX = {
    "P0": Row("P0 Critical", 5, "Immediate rollback"),
    "P1": Row("P1 High", 15, "Investigate, rollback if no quick fix"),
    "P2": Row("P2 Medium", 30, "Investigate, consider rollback"),
    "P3": Row("P3 Low", None, "Investigate, fix forward"),
}


#: What may trigger a rollback, in the process's words ; a person's judgement stands first, since it
#: needs no measure.
TRIGGERS = {
    "manual": "A person's judgement",
    "health": "Health checks fail",
    "error_rate": "Error rate too high",
    "latency": "Response time too long",
    "critical": "Critical functionality broken",
}
