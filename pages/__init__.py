"""Pages that combine apps: the change with its clicks, the request form, the list, people, the
trail, home.
"""
