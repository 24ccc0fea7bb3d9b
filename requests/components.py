"""The catalogue of components: kept by the change manager and administrators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, Q
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role, label
from audit import trail
from language import reading
from language.refusal import Blocked, Invalid, NotYours, Reason
from proposals import second_person
from proposals.models import Proposal
from requests import cleaning, risk
from requests.models import ChangeRequest, Component, UsualReviewer
from requests.states import EDITABLE, RUNNING

NOT_YOURS = "The change manager and administrators keep the catalogue of components."
KIND = "component"
FIELDS = ("slug", "name", "team", "owner", "depends_on", "security_review", "usual", "retired")
#: The roles of which a component may name its usual person.
REVIEWING = (
    *(
        Role.TECH_LEAD,
        Role.SENIOR_DEVOPS_ENGINEER,
        Role.SECURITY_ENGINEER,
        Role.PRODUCT_MANAGER,
        Role.ENGINEERING_MANAGER,
    ),
    *(Role.DEVOPS_LEAD, Role.DEVOPS_ENGINEER),
)


def may_manage(user: User) -> bool:
    """Whether they may add and edit components: administrators and change managers, no auditor."""
    return (
        user.is_active
        and Role.AUDITOR not in user.roles
        and (user.is_superuser or user.has_role(Role.CHANGE_MANAGER))
    )


def record_of(components: Iterable[Component]) -> risk.Record:
    """What became of the changes of these components whose implementation ended in the last year
    (A18).
    """
    touched = ChangeRequest.components.through.objects.filter(
        component__in=[component.pk for component in components]
    )
    since = timezone.now() - timedelta(days=365)
    ended = ChangeRequest.objects.filter(
        pk__in=touched.values("changerequest"), ended_at__gte=since
    ).exclude(outcome="")
    counted = ended.aggregate(
        total=Count("id"), undone=Count("id", filter=Q(outcome__in=["rolled_back", "failed"]))
    )
    return risk.Record(**counted)


def retired_problem(slugs: Sequence[str]) -> str:
    """What is said of retired components that a change would name."""
    return (
        f"Components: {', '.join(slugs)} {'is' if len(slugs) == 1 else 'are'} retired; name what"
        " took the place."
    )


def _usual(values: Any) -> dict[str, User]:
    """Role → the person who usually decides by it. Raises Wrong for a role or person that cannot
    be.
    """
    if not isinstance(values, Mapping) or set(values) - set(REVIEWING):
        raise reading.Wrong(f"Usual person: name them by role, one of {', '.join(REVIEWING)}.")
    found, wrong = {}, {}
    for role, name in values.items():
        try:
            person = cleaning.person(name)
        except reading.Wrong as problem:
            wrong[f"usual_{role}"] = f"Usual {label(role).lower()}: {problem}"
            continue
        if person and not person.has_role(Role(role)):
            wrong[f"usual_{role}"] = (
                f"Usual {label(role).lower()}: {person} does not hold that role."
            )
        elif person:
            found[str(role)] = person
    if wrong:
        raise Invalid(fields=wrong)
    return found


def holders() -> dict[str, list[tuple[str, str]]]:
    """Reviewing role → (username, name) of who holds it: one query."""
    rows = User.objects.filter(is_active=True, groups__name__in=REVIEWING).order_by(
        "name", "username"
    )
    found: dict[str, list[tuple[str, str]]] = {role: [] for role in REVIEWING}
    for username, name, role in rows.values_list("username", "name", "groups__name"):
        if role in found:
            found[role].append((username, name or username))
    return found


def edit(
    *, actor: User, component: Component, values: Mapping[str, Any], reason: str = ""
) -> Proposal | None:
    """Edit a component; what widens by it waits, in the proposal that is returned, for its second
    person (A36).

    Taking away the security review, a dependency between components that open changes name, or a
    component that they name, widens; all else counts at once. What waits already waits in the
    proposal that there is.
    """
    with transaction.atomic():
        component = Component.objects.select_for_update().get(pk=component.pk)
        waiting = list(
            Proposal.objects.filter(
                kind=KIND, state=Proposal.State.OPEN, payload__slug=component.slug
            ).order_by("id")
        )
        taken = _taken_away(component, values)
        kept = dict(values)
        if taken.retired:
            del kept["retired"]
        if taken.security_review:
            del kept["security_review"]
        if taken.needed:
            kept["depends_on"] = [*(values["depends_on"] or ()), *taken.needed]
        save(actor=actor, component=component, values=kept)
        if asked := taken.beyond(waiting):
            return _propose(actor, component, asked, reason)
        answered = (proposal for proposal in waiting if taken != taken.beyond([proposal]))
        return next(answered, None) if taken else None


def _propose(actor: User, component: Component, taken: Taken, reason: str) -> Proposal:
    """Ask for the second person. Raises Invalid without a reason."""
    sentences = taken.sentences(component)
    if not reason.strip():
        why = f"say why. {' '.join(sentences)} A second person reads it and confirms."
        raise Invalid(fields={"reason": f"Reason: {why}"})
    return second_person.propose(
        actor=actor,
        kind=KIND,
        subject=f"Component: {component.name}",
        reason=reading.written("reason", reason, "Reason"),
        widens=sentences,
        payload={"slug": component.slug, **asdict(taken)},
        also=[component.owner_id] if component.owner_id else (),
    )


@dataclass(frozen=True)
class Taken:
    """What an edit would take away from a component that open changes rest on."""

    security_review: bool
    needed: list[str]
    retired: bool

    def __bool__(self) -> bool:
        return self.security_review or self.retired or bool(self.needed)

    def beyond(self, waiting: Iterable[Proposal]) -> Taken:
        """What of it no open proposal asks for yet."""
        asked = [proposal.payload for proposal in waiting]
        return Taken(
            self.security_review and not any(payload["security_review"] for payload in asked),
            [
                slug
                for slug in self.needed
                if not any(slug in payload["needed"] for payload in asked)
            ],
            self.retired and not any(payload.get("retired") for payload in asked),
        )

    def sentences(self, component: Component) -> list[str]:
        found = (
            [f"Changes to {component.name} no longer need the security review because of it."]
            if self.security_review
            else []
        )
        if self.retired:
            found.append(
                f"{component.name} is retired although open changes name it; planned ones that are"
                " submitted later cannot."
            )
        return found + [
            f"Open changes to {component.name} and to {slug} no longer count as being in each"
            " other's way."
            for slug in self.needed
        ]


def _taken_away(component: Component, values: Mapping[str, Any]) -> Taken:
    named = ChangeRequest.components.through.objects.filter(
        changerequest__state__in=EDITABLE | RUNNING
    )
    needed: list[str] = []
    if "depends_on" in values:
        try:
            wanted = {item.pk for item in cleaning.component_list(values["depends_on"])}
        except reading.Wrong:
            wanted = set(
                component.depends_on.values_list("pk", flat=True)
            )  # `save` says what is wrong with it
        gone = component.depends_on.exclude(pk__in=wanted)
        if named.filter(component=component).exists():
            needed = list(
                gone.filter(pk__in=named.values("component"))
                .order_by("slug")
                .values_list("slug", flat=True)
            )
    unguarded = component.security_review and values.get("security_review", True) is not True
    retired = (
        values.get("retired") is True
        and component.retired_at is None
        and named.filter(component=component).exists()
    )
    return Taken(unguarded, needed, retired)


def _carry_out(proposal: Proposal, second: User) -> None:
    """A second person has confirmed: what was to be taken away goes now."""
    component = Component.objects.select_for_update().filter(slug=proposal.payload["slug"]).first()
    if component is None or not may_manage(proposal.author):
        text = (
            f"{proposal.author} may not edit components any more."
            if component
            else "The component is there no more."
        )
        raise Blocked(
            [Reason("overtaken", f"It cannot be carried out any more: {text} Decline it.")]
        )
    retired = proposal.payload.get("retired", False)
    if proposal.payload["security_review"]:
        component.security_review = False
    if retired:
        component.retired_at = component.retired_at or timezone.now()
    component.save(update_fields=["security_review", "retired_at"])
    component.depends_on.remove(*Component.objects.filter(slug__in=proposal.payload["needed"]))
    fields = [
        *(["security_review"] if proposal.payload["security_review"] else []),
        *(["depends_on"] if proposal.payload["needed"] else []),
        *(["retired"] if retired else []),
    ]
    data = {
        "slug": component.slug,
        "fields": fields,
        "reason": proposal.reason,
        "confirmed_by": second.username,
    }
    trail.record("component.edit", actor=proposal.author, data=data)


proposals_kind = second_person.Kind(carry_out=_carry_out)


_LABELS = {"slug": "Short name", "name": "Name", "team": "Team"}


def _said(name: str, texts: list[str]) -> str:
    """A sentence of the model's with the field's name before it; of an empty one what to do."""
    label = _LABELS.get(name, name.capitalize())
    told = " ".join(
        text if text.startswith(label) else f"{label}: {text[:1].lower()}{text[1:]}"
        for text in texts
    )
    return f"{label}: give one." if "cannot be blank" in told else told


@transaction.atomic
def save(*, actor: User, component: Component | None, values: Mapping[str, Any]) -> Component:
    """Make a component, or write what an edit of one may write at once. The name in addresses
    (slug) stays once given.
    """
    if not may_manage(actor):
        raise NotYours([Reason("not_yours", NOT_YOURS)])
    wrong = {str(name)[:60]: "There is no such field." for name in values if name not in FIELDS}
    made = component is None
    component = component or Component()
    if not made and values.get("slug", component.slug) != component.slug:
        wrong["slug"] = "Short name: it stays as it was given; make another component instead."
    if not isinstance(values.get("retired", False), bool):
        wrong["retired"] = "Retired: answer true or false."
    try:
        _assign(component, values)
        needed = cleaning.component_list(values["depends_on"]) if "depends_on" in values else None
        usual = _usual(values["usual"]) if "usual" in values else None
        component.full_clean()
    except reading.Wrong as problem:
        raise Invalid(fields=wrong | {"component": str(problem)}) from None
    except ValidationError as problem:
        texts = {name: _said(name, found) for name, found in problem.message_dict.items()}
        raise Invalid(fields=wrong | texts) from None
    if needed is not None and component in needed:
        wrong["depends_on"] = "Depends on: a component does not depend on itself."
    if wrong:
        raise Invalid(fields=wrong)
    try:
        with transaction.atomic():
            component.save()
    except IntegrityError:
        text = f"Short name: there is a component “{component.slug}” already."
        raise Invalid(fields={"slug": text}) from None
    if needed is not None:
        component.depends_on.set(needed)
    if usual is not None:
        _set_usual(component, usual)
    said = {"slug": component.slug, "fields": sorted(map(str, values))}
    trail.record("component.create" if made else "component.edit", actor=actor, data=said)
    return component


def _assign(component: Component, values: Mapping[str, Any]) -> None:
    """Set the fields of its own. Raises reading.Wrong for a text or person that cannot be."""
    for name in ("slug", "name", "team"):
        if name in values:
            setattr(component, name, reading.prose(values[name]))
    if "owner" in values:
        component.owner = cleaning.person(values["owner"])
    if values.get("retired") is True:
        component.retired_at = component.retired_at or timezone.now()
    elif "retired" in values:
        component.retired_at = None
    if "security_review" in values:
        component.security_review = values["security_review"] is True


def _set_usual(component: Component, usual: Mapping[str, User]) -> None:
    component.usual.all().delete()
    UsualReviewer.objects.bulk_create(
        [UsualReviewer(component=component, role=role, user=user) for role, user in usual.items()]
    )
