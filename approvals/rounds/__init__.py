"""A round of approval: opened, asked, reminded, gone on with, taken back."""
