"""Confidential changes granted to further people, by name or by role (issue 3 item 9). The grants
are django-guardian's.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import Group
from django.db import transaction
from guardian.shortcuts import assign_perm, remove_perm

from accounts.models import User
from accounts.roles import Role, label
from audit import trail
from language import reading
from language.refusal import Blocked, Invalid, Reason, raise_refusal
from notifications import outbox
from requests import access, cleaning
from requests.models import ChangeRequest

PERMISSION = "requests.view_changerequest"


def refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person may not say who else sees the change."""
    if not (actor.may_write and (actor == change.requester or actor.has_role(Role.CHANGE_MANAGER))):
        return [
            Reason(
                "not_yours",
                "The requester or the change manager says who else sees a confidential change.",
            )
        ]
    if not change.confidential:
        return [
            Reason("state", f"{change.number} is not confidential: everybody signed in sees it.")
        ]
    return []


@transaction.atomic
def grant(*, actor: User, number: str, to: str) -> str:
    """Let a person (by username) or whoever holds a role see a confidential change. A person is
    told. Returns who may see it.
    """
    change = access.change_to_write(actor, number)
    raise_refusal(refusal(change, actor))
    found = _named(to)
    assign_perm(PERMISSION, found, change)
    trail.record("change.grant", actor=actor, change=change, data=_who(found))
    if isinstance(found, User):
        outbox.tell(
            [found],
            kind="granted",
            occasion=f"{found.pk}",
            change=change,
            subject=f"{change.number}: {actor} lets you see a confidential change",
            body=f"“{change.summary}”. It is absent for everybody else who has no part in it.",
        )
    return str(found) if isinstance(found, User) else f"Every {label(found.name).lower()}"


@transaction.atomic
def withdraw(*, actor: User, number: str, to: str) -> ChangeRequest:
    """Take such a grant back; it is gone at the next click."""
    change = access.change_to_write(actor, number)
    raise_refusal(refusal(change, actor))
    found = _named(to)
    if not _holds(change, found):
        raise Blocked([Reason("settled", f"{to} has no grant on {change.number}.")])
    remove_perm(PERMISSION, found, change)
    trail.record("change.ungrant", actor=actor, change=change, data=_who(found))
    return change


def grants_of(change: ChangeRequest) -> list[tuple[str, str]]:
    """(name for the form, name for people) of everybody to whom it is granted: people first, then
    roles.
    """
    people = [
        (reader.user.username, str(reader.user))
        for reader in change.readers.select_related("user").order_by("user__name")
    ]
    roles = [
        (reader.group.name, f"Every {label(reader.group.name)}")
        for reader in change.reader_groups.select_related("group").order_by("group__name")
    ]
    return people + roles


def roles_to_choose() -> Iterable[tuple[str, str]]:
    """Each role with its name, for a form."""
    return [(role.value, label(role)) for role in Role]


def _named(to: str) -> User | Group:
    """A role by its name, else a person by username; Invalid where there is neither."""
    if to in Role._value2member_map_:
        return Group.objects.get(name=to)
    try:
        person = cleaning.person(to)
    except reading.Wrong as problem:
        raise Invalid(fields={"to": f"Person or role: {problem}"}) from None
    if person is None:
        raise Invalid(fields={"to": "Person or role: give a username, or choose a role."})
    return person


def _holds(change: ChangeRequest, found: User | Group) -> bool:
    if isinstance(found, User):
        return change.readers.filter(user=found).exists()
    return change.reader_groups.filter(group=found).exists()


def _who(found: User | Group) -> dict[str, int | str]:
    """Keys of people, names of roles, as the trail keeps them."""
    return {"person": found.pk} if isinstance(found, User) else {"role": found.name}
