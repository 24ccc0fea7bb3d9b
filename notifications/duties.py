"""What the clock owes to the outbox."""

from __future__ import annotations

from collections.abc import Callable

from notifications import outbox


def digests() -> int:
    """The mail of the day: what waits for each person's approval, in one."""
    return outbox.send_digests()


def messages() -> int:
    """Whatever the outbox holds; the worker's mail queue normally was faster."""
    return outbox.deliver_due()


#: Name → what is done; each returns how often it did something.
DUTIES: dict[str, Callable[[], int]] = {
    "digests": digests,
    "messages": messages,
}
