"""A run: who may start it and go on, the case that guards judge, and the verbs from start to
failure.
"""
