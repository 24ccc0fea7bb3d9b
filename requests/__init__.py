"""Change requests: content, numbering, components, comments, and the state machine.

The name shadows PyPI's `requests` in this process; docs/adr/0001 says why and what follows.
"""
