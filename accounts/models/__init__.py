"""The models of people: who they are, and who is on duty or acts for whom."""

from accounts.models.duty import (
    Delegation,
    DelegationQuerySet,
    Duty,
    DutyQuerySet,
    Handover,
    StandIn,
)
from accounts.models.user import ApiToken, SetupLink, User

__all__ = [
    "ApiToken",
    "Delegation",
    "DelegationQuerySet",
    "Duty",
    "DutyQuerySet",
    "Handover",
    "SetupLink",
    "StandIn",
    "User",
]
