"""Slots: what may be booked, begun or gone on with, who holds what, and what gives way when the
calendar changes.
"""
