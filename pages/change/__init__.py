"""The page of one change: header, tabs, its times, its approval card, and every click on it."""
