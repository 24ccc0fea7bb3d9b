"""The review after the end, its versions and its confirmation."""
