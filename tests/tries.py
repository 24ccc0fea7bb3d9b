"""How often the suite tries what it cannot enumerate.

Everyday runs are short, the build (`CI=true`) takes the full numbers, and `script/test --faults` the long ones.
"""

from __future__ import annotations

import os

FAULTS = os.environ.get("FAULTS") == "1"
BUILD = os.environ.get("CI", "").lower() == "true"


def tries(everyday: int, build: int, faults: int | None = None) -> int:
    """The number of this run; without one of its own, the long run takes the build's."""
    if FAULTS:
        return faults or build
    return build if BUILD else everyday
