"""Approval policy, steps and decisions."""
