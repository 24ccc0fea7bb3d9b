"""The form by which a change is asked for."""
