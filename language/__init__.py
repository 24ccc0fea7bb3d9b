"""Language: how what people said is read, how time is said to them, and the words in which every
layer refuses.
"""
