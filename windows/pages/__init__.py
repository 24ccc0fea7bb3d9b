"""The calendar as pages: month, week, timeline, agenda, a day, and the answers to a question."""
