"""The trail as a page, and the redaction of a text in it."""
