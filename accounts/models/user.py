"""Users, duties and API tokens."""

from __future__ import annotations

import hashlib
import secrets
from collections import defaultdict
from datetime import timedelta
from functools import cached_property
from typing import ClassVar, Self

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import connection, models
from django.utils import timezone

from accounts.roles import DEVOPS_ROLES, REQUESTING_ROLES, Role, label

TOKEN_PREFIX = "cm_"  # noqa: S105
TOKEN_LIFETIME = timedelta(days=365)


#: Asked by every request of every person, so written out: building it from querysets costs more
#: than asking it. Whose delegation is in force is what `DelegationQuerySet.current` says.
MEMBERSHIPS = """
SELECT held.user_id, role.name, stand_in.id
FROM accounts_user_groups held
JOIN auth_group role ON role.id = held.group_id
LEFT JOIN accounts_standin stand_in
    ON stand_in.user_id = held.user_id AND stand_in.role = role.name AND stand_in.ended_at IS NULL
WHERE held.user_id = ANY (ARRAY(
        SELECT %(me)s::bigint
        UNION ALL
        SELECT lent.giver_id
        FROM accounts_delegation lent
        JOIN accounts_user giver ON giver.id = lent.giver_id AND giver.is_active
        WHERE lent.receiver_id = %(me)s
            AND lent.starts_at <= %(now)s AND lent.ends_at > %(now)s AND lent.revoked_at IS NULL
    ))
    AND (stand_in.id IS NULL OR (held.user_id = %(me)s AND stand_in.ends_at > %(now)s))
"""


class User(AbstractUser):
    """A person. Never deleted, only deactivated: the trail holds keys of people."""

    name = models.CharField(max_length=150, blank=True)
    mail_at_once = models.BooleanField(
        default=False, help_text="Mail each approval at once, not gathered in the mail of the day."
    )
    phone = models.CharField(
        max_length=40, blank=True, help_text="For the duty roster: who is called at night."
    )
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]

    objects: ClassVar[UserManager[Self]] = UserManager()

    def __str__(self) -> str:
        return self.name or self.username

    @classmethod
    def deciders(cls) -> models.QuerySet[User]:
        """Everybody who may decide by a role that they hold: the active ones; whoever holds auditor
        changes nothing.
        """
        return cls.objects.filter(is_active=True).exclude(groups__name=Role.AUDITOR)

    def get_full_name(self) -> str:
        return str(self)

    def get_short_name(self) -> str:
        return str(self).split(" ")[0]

    @cached_property
    def roles(self) -> frozenset[str]:
        """The roles held, read once per request: a fresh request sees a revoked role."""
        if "groups" in getattr(self, "_prefetched_objects_cache", {}):
            return frozenset(group.name for group in self.groups.all())
        return self._roles_by_person.get(self.pk, frozenset())

    @property
    def lent(self) -> dict[int, frozenset[str]]:
        """Whoever has delegated to this person for now, by key, with the roles that they hold
        themselves: one step deep, never passed on.
        """
        return {
            key: roles
            for key, roles in self._roles_by_person.items()
            if key != self.pk and is_writer(roles)
        }

    @cached_property
    def _memberships(self) -> list[tuple[int, str, int | None]]:
        """(person, role, the stand-in by which it is held) of this person and of whoever delegates
        to them now: one query, read once per request. A role held as stand-in ends by itself, and
        is not passed on.
        """
        with connection.cursor() as cursor:
            cursor.execute(MEMBERSHIPS, {"me": self.pk, "now": timezone.now()})
            return list(cursor.fetchall())

    @cached_property
    def _roles_by_person(self) -> dict[int, frozenset[str]]:
        found: dict[int, set[str]] = defaultdict(set)
        for key, role, _ in self._memberships:
            found[key].add(role)
        return {key: frozenset(roles) for key, roles in found.items()}

    @property
    def stand_ins(self) -> dict[str, int]:
        """Role → key of the stand-in by which the person holds it for now (A45)."""
        return {role: stand_in for _, role, stand_in in self._memberships if stand_in is not None}

    def as_stand_in(self, *roles: str) -> dict[str, int]:
        """For an event: `stand_in`, its key, where the person holds one of these roles only because
        they stand in.
        """
        held = self.roles & set(roles)
        return (
            {"stand_in": min(self.stand_ins[role] for role in held)}
            if held and held <= set(self.stand_ins)
            else {}
        )

    def holds_itself(self, *roles: str) -> bool:
        """Whether the person holds one of these roles themselves, not as somebody's stand-in."""
        return self.has_role(*(set(roles) - set(self.stand_ins)))

    def has_role(self, *roles: str) -> bool:
        """Whether the person holds any of these. Being superuser gives no role."""
        return self.is_active and bool(self.roles & set(roles))

    @property
    def may_write(self) -> bool:
        """Whoever holds auditor changes nothing; manager alone only reads."""
        return self.is_active and is_writer(self.roles)

    @property
    def is_devops(self) -> bool:
        return self.may_write and self.has_role(*DEVOPS_ROLES)

    @property
    def role_label(self) -> str:
        """The role copied onto a change as the requester's (R15)."""
        return ", ".join(label(role) for role in Role if role in self.roles) or (
            "Administrator" if self.is_superuser else "No role"
        )


def is_writer(roles: frozenset[str]) -> bool:
    """Whether whoever holds these roles requests, decides and does; auditors change nothing,
    whatever else they hold.
    """
    return Role.AUDITOR not in roles and bool(roles & REQUESTING_ROLES)


class SetupLink(models.Model):
    """The one address by which an installation's first administrator makes themselves: kept as a
    hash, gone once used.
    """

    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"of {self.created_at}"


class ApiToken(models.Model):
    """A bearer token for pipelines: shown once, kept as a hash, scoped, expiring."""

    class Scope(models.TextChoices):
        READ = "read", "Read everything its owner may read"
        WRITE = "write", "Read, and change what its owner may change (never decide)"
        GATE = "gate", "Ask the gate"
        REPORT = "report", "Read reports"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80)
    scope = models.CharField(max_length=10, choices=Scope, default=Scope.READ)
    prefix = models.CharField(max_length=12, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and self.expires_at > timezone.now() and self.user.is_active

    @staticmethod
    def hash(secret: str) -> str:
        # A fast hash suffices: the secret has 256 random bits, there is nothing to guess.
        return hashlib.sha256(secret.encode()).hexdigest()

    @classmethod
    def make(
        cls, *, user: User, name: str, scope: str, lifetime: timedelta = TOKEN_LIFETIME
    ) -> tuple[ApiToken, str]:
        """A new token and its secret; the secret is not kept and cannot be shown again."""
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        token = cls.objects.create(
            user=user,
            name=name,
            scope=scope,
            prefix=secret[:9],
            digest=cls.hash(secret),
            expires_at=timezone.now() + lifetime,
        )
        return token, secret

    @classmethod
    def matching(cls, secret: str) -> ApiToken | None:
        token = cls.objects.select_related("user").filter(digest=cls.hash(secret)).first()
        return token if token and token.is_usable else None
