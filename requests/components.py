"""The catalogue of components: kept by the change manager and administrators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, Q
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role, label
from audit import services as audit
from audit.refusal import Invalid, NotYours, Reason
from requests import cleaning, risk
from requests.models import ChangeRequest, Component, UsualReviewer

NOT_YOURS = "The change manager and administrators keep the catalogue of components."
FIELDS = ("slug", "name", "team", "owner", "depends_on", "security_review", "usual")
#: The roles of which a component may name its usual person.
REVIEWING = (
    *(Role.TECH_LEAD, Role.SENIOR_DEVOPS_ENGINEER, Role.SECURITY_ENGINEER, Role.PRODUCT_MANAGER, Role.ENGINEERING_MANAGER),
    *(Role.DEVOPS_LEAD, Role.DEVOPS_ENGINEER),
)


def may_manage(user: User) -> bool:
    return user.is_active and Role.AUDITOR not in user.roles and (user.is_superuser or user.has_role(Role.CHANGE_MANAGER))


def record_of(components: Iterable[Component]) -> risk.Record:
    """What became of the changes of these components whose implementation ended in the last year (A18)."""
    touched = ChangeRequest.components.through.objects.filter(component__in=[component.pk for component in components])
    since = timezone.now() - timedelta(days=365)
    ended = ChangeRequest.objects.filter(pk__in=touched.values("changerequest"), ended_at__gte=since).exclude(outcome="")
    counted = ended.aggregate(total=Count("id"), undone=Count("id", filter=Q(outcome__in=["rolled_back", "failed"])))
    return risk.Record(**counted)


def _usual(values: Any) -> dict[str, User]:
    """Role → the person who usually decides by it. Raises Wrong for a role or person that cannot be."""
    if not isinstance(values, Mapping) or set(values) - set(REVIEWING):
        raise cleaning.Wrong(f"Usual person: name them by role, one of {', '.join(REVIEWING)}.")
    found, wrong = {}, {}
    for role, name in values.items():
        try:
            person = cleaning.person(name)
        except cleaning.Wrong as problem:
            wrong[f"usual_{role}"] = f"Usual {label(role).lower()}: {problem}"
            continue
        if person and not person.has_role(Role(role)):
            wrong[f"usual_{role}"] = f"Usual {label(role).lower()}: {person} does not hold that role."
        elif person:
            found[str(role)] = person
    if wrong:
        raise Invalid(fields=wrong)
    return found


def holders() -> dict[str, list[tuple[str, str]]]:
    """Reviewing role → (username, name) of who holds it: one query."""
    rows = User.objects.filter(is_active=True, groups__name__in=REVIEWING).order_by("name", "username")
    found: dict[str, list[tuple[str, str]]] = {role: [] for role in REVIEWING}
    for username, name, role in rows.values_list("username", "name", "groups__name"):
        if role in found:
            found[role].append((username, name or username))
    return found


@transaction.atomic
def save(*, actor: User, component: Component | None, values: Mapping[str, Any]) -> Component:
    """Make or edit a component. The name in addresses (slug) stays once given."""
    if not may_manage(actor):
        raise NotYours([Reason("not_yours", NOT_YOURS)])
    wrong = {str(name)[:60]: "There is no such field." for name in values if name not in FIELDS}
    made = component is None
    component = component or Component()
    try:
        if "slug" in values:
            if not made and values["slug"] != component.slug:
                wrong["slug"] = "Short name: it stays as it was given; make another component instead."
            component.slug = cleaning.prose(values["slug"])
        for name in ("name", "team"):
            if name in values:
                setattr(component, name, cleaning.prose(values[name]))
        if "owner" in values:
            component.owner = cleaning.person(values["owner"])
        if "security_review" in values:
            component.security_review = values["security_review"] is True
        needed = cleaning.component_list(values["depends_on"]) if "depends_on" in values else None
        usual = _usual(values["usual"]) if "usual" in values else None
        component.full_clean()
    except cleaning.Wrong as problem:
        raise Invalid(fields=wrong | {"component": str(problem)}) from None
    except ValidationError as problem:
        raise Invalid(fields=wrong | {name: " ".join(texts) for name, texts in problem.message_dict.items()}) from None
    if needed is not None and component in needed:
        wrong["depends_on"] = "Depends on: a component does not depend on itself."
    if wrong:
        raise Invalid(fields=wrong)
    try:
        with transaction.atomic():
            component.save()
    except IntegrityError:
        raise Invalid(fields={"slug": f"Short name: there is a component “{component.slug}” already."}) from None
    if needed is not None:
        component.depends_on.set(needed)
    if usual is not None:
        component.usual.all().delete()
        UsualReviewer.objects.bulk_create([UsualReviewer(component=component, role=role, user=user) for role, user in usual.items()])
    audit.record(
        "component.create" if made else "component.edit", actor=actor, data={"slug": component.slug, "fields": sorted(map(str, values))}
    )
    return component
