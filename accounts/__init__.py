"""People: users, flat roles, duties, API tokens."""
