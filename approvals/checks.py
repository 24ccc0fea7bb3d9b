"""What `manage.py check` says of the people: nobody on duty, roles that nobody or one person alone
holds (A3, A43, X17).
"""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Warning, register
from django.db import Error
from django.utils import timezone

from accounts.models import Duty
from accounts.roles import label

NOBODY = "An emergency would call nobody."
WHERE = (
    "Administrators and change managers keep duties at /settings/duties/, people at"
    " /settings/people/."
)


@register()
def people(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warnings about the installation's people; silent where its database cannot be asked, or has
    no tables yet.
    """
    from approvals.people import vacancies

    try:
        on_duty = set(
            Duty.objects.filter(starts_at__lte=timezone.now())
            .current()
            .values_list("kind", flat=True)
        )
        unheld, single = vacancies.unheld_roles(), vacancies.single_holders()
    except Error:
        return []
    found = [
        (
            f"W00{number}",
            f"Nobody is on duty: {kind.label.lower()}. An emergency would call nobody.",
        )
        for number, kind in enumerate(Duty.Kind, start=1)
        if kind not in on_duty
    ]
    if unheld:
        names = ", ".join(label(role) for role in unheld)
        found.append(("W003", f"The approval policy asks for roles that nobody holds: {names}."))
    if single:
        names = ", ".join(f"{label(role)} ({person})" for role, person in single)
        found.append(("W004", f"Roles that hang on one person alone: {names}."))
    return [Warning(said, hint=WHERE, id=f"approvals.{number}") for number, said in found]
