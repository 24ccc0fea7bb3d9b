"""The rules that the calendar is made of: read from people and files, versioned, locked down, and
said in words.
"""
