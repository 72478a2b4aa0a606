"""Lanes: the ways out, each with its own room, pace and patience.

`lane` is what all of them do: try what was claimed, once, and have it written down. `platforms`
and `hooks` are the two kinds, `gates` says how many attempts may be under way at once and whether
any may be, and `store` claims under a lease.
"""
