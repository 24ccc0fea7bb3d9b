"""What a run leaves behind: checklist, log, checks, issues."""
