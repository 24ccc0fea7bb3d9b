"""The list of changes with its export and components, and the API of changes."""
