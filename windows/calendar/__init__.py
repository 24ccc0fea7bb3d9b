"""The calendar as arithmetic: where rules fall, what stands open, and the verdict on a stretch of
time. No Django, no database.
"""
