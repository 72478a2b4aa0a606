"""Lanes: the ways out, each with its own room, pace and patience.

`lane` is what all of them do: try what was claimed, once, and have it written down. `platforms`,
`browsers` and `hooks` are the three kinds. `gates` says how many attempts may be under way at once
and whether any may be, `origins` shares a lane's places among servers that strangers name, and
`store` claims under a lease.
"""
