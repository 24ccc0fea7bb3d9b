"""Figures, the dashboard and the monthly report. Reads the other apps, changes none."""
