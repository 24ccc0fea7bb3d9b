"""People, roles, duties and tokens: what administrators and people themselves change."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.dispatch import Signal
from django.utils import timezone

from accounts.models import ApiToken, Duty, User
from accounts.roles import Role
from audit import trail
from language.refusal import Blocked, Invalid, NotYours, Reason


def check_administrator(actor: User) -> None:
    """Raises NotYours for whoever does not keep people and roles; an auditor never does."""
    if not (actor.is_active and actor.is_superuser and Role.AUDITOR not in actor.roles):
        raise NotYours([Reason("not_yours", "Administrators keep people and their roles.")])


def _keep(person: User) -> None:
    """Store who they are. Raises Invalid where somebody else has taken the name meanwhile."""
    try:
        with transaction.atomic():
            person.save()
    except IntegrityError:
        taken = f"Username: “{person.username}” is taken."
        raise Invalid(fields={"username": taken}) from None
    earlier = EmailAddress.objects.filter(user=person).exclude(email__iexact=person.email)
    earlier.delete()  # it receives no links any more


@transaction.atomic
def save_person(
    *,
    actor: User,
    person: User | None,
    username: str,
    name: str,
    email: str,
    phone: str,
    roles: Iterable[str],
    is_active: bool,
    password: str = "",
) -> User:
    """Make or edit a person. Nobody grants roles to themselves, nor takes themselves out (A26).

    Without a password a new person has none: they choose it by the link of `invitations`.
    """
    check_administrator(actor)
    wanted = {role for role in roles if role in Role._value2member_map_}
    made, person = person is None, person or User()
    wrong = wrong_identity(person, username, name, email, phone)
    if wrong := wrong | (wrong_password(person, password) if password else {}):
        raise Invalid(fields=wrong)
    held = set() if made else {group.name for group in person.groups.all()}
    if not made and actor.pk == person.pk and (wanted != held or not is_active):
        raise Blocked([Reason("own_roles", OWN_ROLES)])
    person.username, person.name, person.email, person.phone = username, name, email, phone
    person.is_active = is_active
    if password:
        person.set_password(password)
    elif made:
        person.set_unusable_password()
    _keep(person)
    if password and not made:
        revoke_tokens(person, actor)
    person.groups.set(Group.objects.filter(name__in=wanted))
    roles_said = {"granted": sorted(wanted - held), "revoked": sorted(held - wanted)}
    said = {"person": person.pk, **roles_said, "active": is_active, "password_set": bool(password)}
    trail.record("person.create" if made else "person.edit", actor=actor, data=said)
    people_changed.send(User)
    return person


OWN_ROLES = "Nobody changes their own roles or access; another administrator does."


def wrong_identity(
    person: User, username: str, name: str, email: str, phone: str
) -> dict[str, str]:
    """What is wrong with who a person is said to be: field to sentence, empty if nothing is."""
    wrong = {}
    try:
        User.username_validator(username)
    except ValidationError:
        wrong["username"] = "Username: use letters, digits and . @ + - _ only."
    if not username or len(username) > 150:
        wrong["username"] = "Username: give one, of at most 150 characters."
    elif (
        "username" not in wrong
        and User.objects.filter(username__iexact=username).exclude(pk=person.pk).exists()
    ):
        wrong["username"] = f"Username: “{username}” is taken."
    if not name or len(name) > 150 or "\x00" in name:
        wrong["name"] = "Name: say how the person is called, in at most 150 characters."
    try:
        validate_email(email)
    except ValidationError:
        wrong["email"] = "Email: give an address like ines@example.com; messages go there."
    if len(phone) > 40 or "\x00" in phone:
        wrong["phone"] = "Telephone: at most 40 characters."
    return wrong


def wrong_password(person: User, password: str) -> dict[str, str]:
    """What the validators say against it, under `password`; empty if nothing."""
    try:
        validate_password(password, person)
    except ValidationError as problem:
        return {
            "password": (
                f"Password: {' '.join(problem.messages)} The person changes it after signing in."
            )
        }
    return {}


#: Sent with `person`: higher apps end what they have opened to that person's secrets.
tokens_revoked = Signal()
people_changed = Signal()  # roles, accounts, duties: whoever waits for somebody looks again


def revoke_tokens(person: User, actor: User) -> None:
    """A new password ends what was opened with the old one, API tokens too (F56)."""
    tokens_revoked.send(sender=User, person=person)
    ended = ApiToken.objects.filter(user=person, revoked_at__isnull=True).update(
        revoked_at=timezone.now()
    )
    if ended:
        trail.record("token.revoke_all", actor=actor, data={"user": person.pk, "tokens": ended})


@transaction.atomic
def prefer_mail(*, actor: User, at_once: bool) -> None:
    """Whether each approval is mailed at once, or all of a day together; emergencies and near
    windows always come at once.
    """
    User.objects.filter(pk=actor.pk).update(mail_at_once=at_once)
    trail.record("person.mail", actor=actor, data={"at_once": at_once})


def keeps_roster(actor: User) -> bool:
    """Whether they may put people on duty: administrators and change managers, no auditor."""
    return (
        actor.is_active
        and Role.AUDITOR not in actor.roles
        and (actor.is_superuser or actor.has_role(Role.CHANGE_MANAGER))
    )


def _check_roster_keeper(actor: User) -> None:
    if not keeps_roster(actor):
        raise NotYours(
            [Reason("not_yours", "Administrators and change managers keep the duty roster.")]
        )


@transaction.atomic
def add_duty(
    *,
    actor: User,
    kind: str,
    username: str,
    starts_at: datetime,
    ends_at: datetime | None,
    order: int,
) -> Duty:
    """Put somebody who holds the role on duty (A3)."""
    _check_roster_keeper(actor)
    wrong = {}
    person = (
        User.objects.filter(username=username, is_active=True).first()
        if "\x00" not in username
        else None
    )
    if kind not in Duty.Kind.values:
        wrong["kind"] = "Duty: choose emergency contact or on-call."
    elif person is None or Duty.Kind(kind).role not in {
        group.name for group in person.groups.all()
    }:
        wrong["user"] = "Person: choose somebody who holds the role of that duty."
    if ends_at and ends_at <= starts_at:
        wrong["ends_at"] = "End: it lies before the start; put it after."
    if not 1 <= order <= 50:
        wrong["order"] = "Order: 1 is called first; give 1 to 50."
    if wrong or person is None:
        raise Invalid(fields=wrong)
    User.objects.select_for_update().get(pk=person.pk)  # two clicks are one duty
    if Duty.objects.filter(kind=kind, user=person, starts_at=starts_at, ends_at=ends_at).exists():
        raise Invalid(fields={"user": f"Person: {person} has that duty for that time already."})
    duty = Duty.objects.create(
        kind=kind, user=person, starts_at=starts_at, ends_at=ends_at, order=order
    )
    trail.record("duty.add", actor=actor, data={"duty": duty.pk, "kind": kind, "person": person.pk})
    return duty


@transaction.atomic
def end_duty(*, actor: User, duty: Duty) -> None:
    """End a duty now; it stays in the roster's history."""
    _check_roster_keeper(actor)
    now = timezone.now()
    duty.ends_at = max(now, duty.starts_at + timedelta(seconds=1))
    duty.save()
    trail.record("duty.end", actor=actor, data={"duty": duty.pk, "person": duty.user_id})
    people_changed.send(User)


@transaction.atomic
def make_token(*, actor: User, name: str, scope: str, days: int) -> tuple[ApiToken, str]:
    """A token for one's own use; the secret is returned once."""
    wrong = {}
    if not name.strip() or len(name) > 80 or "\x00" in name:
        wrong["name"] = "Name: say what it is for, in at most 80 characters."
    if scope not in ApiToken.Scope.values:
        wrong["scope"] = "Scope: choose one of the list."
    if not 1 <= days <= 730:
        wrong["days"] = "Days: give 1 to 730."
    User.objects.select_for_update().get(pk=actor.pk)  # two clicks are one token
    if actor.api_tokens.filter(
        name=name.strip(), revoked_at__isnull=True, expires_at__gt=timezone.now()
    ).exists():
        wrong["name"] = (
            f"Name: you have a token “{name.strip()}” already; revoke it, or take another name."
        )
    if wrong:
        raise Invalid(fields=wrong)
    token, secret = ApiToken.make(
        user=actor, name=name.strip(), scope=scope, lifetime=timedelta(days=days)
    )
    trail.record(
        "token.create", actor=actor, data={"token": token.pk, "user": actor.pk, "scope": scope}
    )
    return token, secret


@transaction.atomic
def revoke_token(*, actor: User, token: ApiToken) -> None:
    """From now on it opens nothing. Raises NotYours but for its owner and administrators."""
    if token.user_id != actor.pk and not actor.is_superuser:
        raise NotYours([Reason("not_yours", "Only its owner or an administrator revokes a token.")])
    token.revoked_at = token.revoked_at or timezone.now()
    token.save(update_fields=["revoked_at"])
    trail.record("token.revoke", actor=actor, data={"token": token.pk})
