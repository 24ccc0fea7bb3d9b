"""A road: how a change comes to where a test of its run begins."""

from __future__ import annotations

import pytest

from tests.implementation.road import At, Road, Sit


@pytest.fixture
def road(desk: Sit, at: At) -> Road:
    return Road(desk, at)
