"""`setup_process`: what the process document states. Idempotent; an edit made since is never
overwritten.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.roles import Role
from approvals.models import Policy
from approvals.policy.policy import DEFAULT
from changemgmt.process import CLOSURES, WINDOWS
from windows.models import Closure, MaintenanceWindow

#: Role → permissions (app.codename). What is not listed is decided by the role itself, in the
#: verb's guard.
READ = [
    "requests.view_changerequest",
    "requests.view_component",
    "reports.view_monthlyreport",
    "windows.view_maintenancewindow",
]
REQUEST = ["requests.add_changerequest", "requests.change_changerequest", "requests.add_comment"]
OPERATE = [
    "implementation.change_checklistitem",
    "implementation.add_check",
    "implementation.add_issue",
    "implementation.add_logentry",
]
MANAGE = [
    "requests.add_component",
    "requests.change_component",
    "windows.change_maintenancewindow",
    "windows.change_closure",
    "approvals.add_policy",
]
DECIDE = ["approvals.add_decision"]
PERMISSIONS: dict[str, list[str]] = {
    Role.ENGINEER: READ + REQUEST,
    Role.DEVOPS_ENGINEER: READ + REQUEST + OPERATE + DECIDE,
    Role.SENIOR_DEVOPS_ENGINEER: READ + REQUEST + OPERATE + DECIDE,
    Role.DEVOPS_LEAD: READ + REQUEST + OPERATE + DECIDE,
    Role.TECH_LEAD: READ + REQUEST + DECIDE,
    Role.ENGINEERING_MANAGER: READ + REQUEST + DECIDE,
    Role.PRODUCT_MANAGER: READ + REQUEST + DECIDE,
    Role.SECURITY_ENGINEER: READ + REQUEST + DECIDE,
    Role.CTO: READ + REQUEST + DECIDE,
    Role.EMERGENCY_CONTACT: READ + REQUEST + DECIDE,
    Role.ON_CALL_ENGINEER: READ + REQUEST + OPERATE,
    Role.CHANGE_MANAGER: READ + REQUEST + MANAGE + ["audit.view_event"],
    Role.MANAGER: READ,
    Role.AUDITOR: [*READ, "audit.view_event"],
}


class Command(BaseCommand):
    help = (
        "Roles and permissions, default policy, windows, freezes and blackouts: everything that the"
        " process document states."
    )

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        made = self.roles() + self.calendar() + self.policy()
        self.stdout.write(f"Process ready: {made} rows added, nothing overwritten.")

    def roles(self) -> int:
        wanted = {name for names in PERMISSIONS.values() for name in names}
        known = {
            f"{p.content_type.app_label}.{p.codename}": p
            for p in Permission.objects.select_related("content_type").filter(
                Q(codename__in=[name.split(".")[1] for name in wanted])
            )
        }
        made = 0
        for role in Role:
            group, created = Group.objects.get_or_create(name=role.value)
            if created:
                group.permissions.set([known[name] for name in PERMISSIONS[role]])
                made += 1
        return made

    def calendar(self) -> int:
        made = 0
        for row in WINDOWS:
            made += self._rule(MaintenanceWindow, row)
        for row in CLOSURES:
            made += self._rule(Closure, row)
        return made

    def _rule(self, model: type[MaintenanceWindow] | type[Closure], row: dict[str, Any]) -> bool:
        """A default rule is made once; edited, renamed or ended since, it is left alone."""
        if model.objects.filter(name=row["name"]).exists():
            return False
        model.objects.create(**row)
        return True

    def policy(self) -> int:
        if Policy.objects.exists():
            return 0
        Policy.objects.create(version=1, rules=DEFAULT, published_at=timezone.now())
        return 1
