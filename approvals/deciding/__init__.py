"""Deciding: verdicts and their neighbours, by page, mail, telephone, ahead of a stage, or after the
start.
"""
