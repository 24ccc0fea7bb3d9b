"""The calendar: maintenance windows, freezes, blackouts, bookings, and the one function that judges
them.
"""
