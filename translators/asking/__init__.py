"""Putting a question, and putting it once more where the answer will not do: shared by all backends.

`thinking` and `constraints` read what clients say in other APIs' words, `turns` what chat templates want of a
dialogue.
"""
