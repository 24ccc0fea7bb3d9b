"""The demonstration's people, duties and components."""

from __future__ import annotations

from datetime import UTC, datetime

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group

from accounts.models import Duty, User
from accounts.roles import Role
from changemgmt import env
from requests.models import Component

#: username → (name, roles, telephone)
PEOPLE: dict[str, tuple[str, list[Role], str]] = {
    "engineer": ("Ines Moreau", [Role.ENGINEER], ""),
    "engineer2": ("Paulo Reis", [Role.ENGINEER], ""),
    "devops": ("Tom Becker", [Role.DEVOPS_ENGINEER], "+1 555 0102"),
    "devops2": ("Yuki Tanaka", [Role.DEVOPS_ENGINEER], "+1 555 0103"),
    "senior-devops": ("Sade Okafor", [Role.SENIOR_DEVOPS_ENGINEER], "+1 555 0104"),
    "devops-lead": ("Priya Nair", [Role.DEVOPS_LEAD], "+1 555 0100"),
    "tech-lead": ("Grace Lindqvist", [Role.TECH_LEAD], ""),
    "eng-manager": ("Marcus Hale", [Role.ENGINEERING_MANAGER], ""),
    "product-manager": ("Lena Vogt", [Role.PRODUCT_MANAGER], ""),
    "security": ("Amir Haddad", [Role.SECURITY_ENGINEER], ""),
    "cto": ("Helen Park", [Role.CTO], "+1 555 0105"),
    "emergency-contact": ("Jonas Weber", [Role.EMERGENCY_CONTACT], "+1 555 0101"),
    "oncall": ("Rosa Jimenez", [Role.ON_CALL_ENGINEER, Role.DEVOPS_ENGINEER], "+1 555 0106"),
    "change-manager": ("Noor Rahman", [Role.CHANGE_MANAGER], ""),
    "manager": ("Edda Steiner", [Role.MANAGER], ""),
    "auditor": ("Felix Braun", [Role.AUDITOR], ""),
    "admin": ("Ada Osei", [], ""),
}
ADMINISTRATOR = "admin"  # keeps people and roles, and has none
DUTIES = {"emergency-contact": Duty.Kind.EMERGENCY_CONTACT, "oncall": Duty.Kind.ON_CALL}
ON_DUTY_SINCE = datetime(2020, 1, 1, tzinfo=UTC)

#: slug → (name, team, needs, security review always)
COMPONENTS: dict[str, tuple[str, str, list[str], bool]] = {
    "storefront": ("Storefront", "Shop", ["catalogue", "search", "checkout"], False),
    "checkout": ("Checkout", "Shop", ["order-service", "payments", "accounts"], False),
    "order-service": ("Order service", "Orders", ["orders-db", "message-bus"], False),
    "payments": ("Payments", "Payments", ["payments-db"], True),
    "catalogue": ("Catalogue", "Catalogue", ["catalogue-db"], False),
    "search": ("Search", "Catalogue", ["catalogue"], False),
    "recommendations": ("Recommendations", "Catalogue", ["catalogue"], False),
    "accounts": ("Customer accounts", "Identity", ["accounts-db"], True),
    "warehouse-feed": ("Warehouse feed", "Orders", ["order-service"], False),
    "notifications": ("Customer mail", "Shop", ["message-bus"], False),
    "admin-tools": ("Back office", "Shop", ["order-service", "catalogue"], False),
    "orders-db": ("Orders database", "Platform", [], False),
    "payments-db": ("Payments database", "Platform", [], True),
    "catalogue-db": ("Catalogue database", "Platform", [], False),
    "accounts-db": ("Accounts database", "Platform", [], True),
    "message-bus": ("Message bus", "Platform", [], False),
    "cdn": ("Content delivery", "Platform", [], False),
    "load-balancer": ("Load balancer", "Platform", [], False),
    "monitoring": ("Monitoring", "Platform", [], False),
    "build-farm": ("Build farm", "Platform", [], False),
}


def password() -> str:
    return env.text("DEMO_PASSWORD", "demo")


def make() -> dict[str, User]:
    """Users with roles, duties and components; what is there already stays as it is."""
    known = {user.username: user for user in User.objects.filter(username__in=PEOPLE)}
    hashed = make_password(password())
    missing = [
        User(
            username=username,
            name=name,
            email=f"{username}@example.com",
            phone=phone,
            password=hashed,
            is_superuser=username == ADMINISTRATOR,
        )
        for username, (name, _, phone) in PEOPLE.items()
        if username not in known
    ]
    User.objects.bulk_create(missing)
    groups = {group.name: group for group in Group.objects.all()}
    User.groups.through.objects.bulk_create(
        User.groups.through(user_id=user.pk, group_id=groups[role].pk)
        for user in missing
        for role in PEOPLE[user.username][1]
    )
    known |= {user.username: user for user in missing}
    for username, kind in DUTIES.items():
        Duty.objects.get_or_create(
            kind=kind, user=known[username], defaults={"starts_at": ON_DUTY_SINCE}
        )
    _components(known["devops-lead"])
    return known


def _components(owner: User) -> None:
    Component.objects.bulk_create(
        [
            Component(slug=slug, name=name, team=team, owner=owner, security_review=security)
            for slug, (name, team, _, security) in COMPONENTS.items()
        ],
        ignore_conflicts=True,
    )
    keys = dict(Component.objects.filter(slug__in=COMPONENTS).values_list("slug", "pk"))
    links = [(slug, need) for slug, (_, _, needs, _) in COMPONENTS.items() for need in needs]
    through = Component.depends_on.through
    through.objects.bulk_create(
        [through(from_component_id=keys[slug], to_component_id=keys[need]) for slug, need in links],
        ignore_conflicts=True,
    )
