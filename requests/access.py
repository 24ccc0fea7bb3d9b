"""Fetch and authorise in one call. What a person may not see does not exist for them."""

from __future__ import annotations

from accounts.models import User
from language.refusal import Missing, NotYours, Reason
from requests.models import ChangeRequest


def may_see(user: User, change: ChangeRequest) -> bool:
    """`visible_to` of one change that is at hand already: most are not confidential, and then it
    asks nothing of the database.
    """
    if not change.confidential:
        return user.is_active
    return ChangeRequest.objects.visible_to(user).filter(pk=change.pk).exists()


def change_for(user: User, number: str, *, lock: bool = False) -> ChangeRequest:
    """The change of that number, locked if it is to be changed. Raises Missing, the same for absent
    and invisible.
    """
    changes = ChangeRequest.objects.select_related("requester", "implementer").prefetch_related(
        "components"
    )
    if lock:
        changes = changes.select_for_update(
            of=("self",), no_key=True
        )  # whoever links to it need not wait
    change = (
        changes.filter(number=number).first()
        if len(number) <= 24 and "\x00" not in number
        else None
    )
    if change is None or not may_see(user, change):
        raise Missing([Reason("missing", f"There is no change {number[:30]!r} that you can see.")])
    return change


def check_may_write(user: User) -> None:
    """Raises NotYours for whoever only reads."""
    if not user.may_write:
        raise NotYours(
            [
                Reason(
                    "read_only",
                    "Your roles read; they change nothing. An administrator grants roles.",
                )
            ]
        )


def change_to_write(user: User, number: str) -> ChangeRequest:
    """The change, locked, for somebody whose roles write at all."""
    change = change_for(user, number, lock=True)
    check_may_write(user)
    return change
