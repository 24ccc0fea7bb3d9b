"""The calendar as a file that other calendars subscribe to."""
