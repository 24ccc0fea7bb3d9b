"""The flat roles of A26, many per person; none implies another. Membership in the group of that
name is the grant.
"""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """The roles of the process document; Django's groups bear their names."""

    ENGINEER = "engineer"
    DEVOPS_ENGINEER = "devops-engineer"
    SENIOR_DEVOPS_ENGINEER = "senior-devops-engineer"
    DEVOPS_LEAD = "devops-lead"
    TECH_LEAD = "tech-lead"
    ENGINEERING_MANAGER = "engineering-manager"
    PRODUCT_MANAGER = "product-manager"
    SECURITY_ENGINEER = "security-engineer"
    CTO = "cto"
    EMERGENCY_CONTACT = "emergency-contact"
    ON_CALL_ENGINEER = "on-call-engineer"
    CHANGE_MANAGER = "change-manager"
    MANAGER = "manager"
    AUDITOR = "auditor"


LABELS = {
    Role.ENGINEER: "Engineer",
    Role.DEVOPS_ENGINEER: "DevOps engineer",
    Role.SENIOR_DEVOPS_ENGINEER: "Senior DevOps engineer",
    Role.DEVOPS_LEAD: "DevOps lead",
    Role.TECH_LEAD: "Tech lead",
    Role.ENGINEERING_MANAGER: "Engineering manager",
    Role.PRODUCT_MANAGER: "Product manager",
    Role.SECURITY_ENGINEER: "Security engineer",
    Role.CTO: "CTO",
    Role.EMERGENCY_CONTACT: "Emergency contact",
    Role.ON_CALL_ENGINEER: "On-call engineer",
    Role.CHANGE_MANAGER: "Change manager",
    Role.MANAGER: "Manager",
    Role.AUDITOR: "Auditor",
}
DUTIES = {
    Role.CHANGE_MANAGER: "owns policy, calendars and templates",
    Role.MANAGER: "reads reports",
    Role.AUDITOR: "reads everything, changes nothing",
    Role.EMERGENCY_CONTACT: "authorises emergencies while on duty",
    Role.ON_CALL_ENGINEER: "takes over, rolls back, extends",
}

DEVOPS_ROLES = frozenset(
    {Role.DEVOPS_ENGINEER, Role.SENIOR_DEVOPS_ENGINEER, Role.DEVOPS_LEAD, Role.ON_CALL_ENGINEER}
)
READ_ONLY_ROLES = frozenset({Role.MANAGER, Role.AUDITOR})
REQUESTING_ROLES = frozenset(Role) - READ_ONLY_ROLES


def label(role: str) -> str:
    """The role as people say it; an unknown one is shown as it is."""
    return LABELS.get(Role(role), role) if role in Role._value2member_map_ else role


def listed(roles: list[str], word: str = "or") -> str:
    """ "Senior DevOps engineer or Tech lead"."""
    names = [label(role) for role in roles]
    return (
        names[0]
        if len(names) == 1
        else f"{', '.join(names[:-1])} {word} {names[-1]}"
        if names
        else "nobody"
    )
