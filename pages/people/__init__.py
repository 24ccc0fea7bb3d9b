"""People: signing in, settings, duties, tokens, staffing."""
