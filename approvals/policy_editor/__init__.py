"""Drafts of a policy, tried on what has been, and published by two."""
