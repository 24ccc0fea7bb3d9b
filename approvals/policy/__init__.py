"""The policy: who approves what, in which order, and when enough have; plain values in, plain
values out.
"""
