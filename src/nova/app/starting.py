"""What keeps Nova from starting."""

EMBEDDED = "embedded:"
"""In settings: the engine that needs no address, since it is part of Nova."""


class CannotStart(Exception):
    """Something Nova needs is not there; the message says what, and how to mend it."""


class NoData(CannotStart):
    """The data folder holds no database, and what was asked for does not begin one."""
