"""The models of approvals: the policy, its steps, decisions on them, and what is signed ahead."""

from approvals.models.ahead import Advance, Confirmation
from approvals.models.policy import Policy, PolicyDraft
from approvals.models.step import Decision, Step, StepQuerySet

__all__ = ["Advance", "Confirmation", "Decision", "Policy", "PolicyDraft", "Step", "StepQuerySet"]
