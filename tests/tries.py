"""How often the suite tries what it cannot enumerate.

Everyday runs are short, the build (`CI=true`) takes the full numbers, and `script/test --faults`
the long ones.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

FAULTS = os.environ.get("FAULTS") == "1"
BUILD = os.environ.get("CI", "").lower() == "true"


def share(things: Sequence[T], of: int, turn: int) -> Sequence[T]:
    """Everyday one part in `of`, another one each turn, so that neighbouring cases together try
    all; in the build all of them.
    """
    return things if BUILD or FAULTS else things[turn % of :: of]


def tries(everyday: int, build: int, faults: int | None = None) -> int:
    """The number of this run; without one of its own, the long run takes the build's."""
    if FAULTS:
        return faults or build
    return build if BUILD else everyday
