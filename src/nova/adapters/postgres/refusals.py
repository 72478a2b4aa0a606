"""Why the embedded database does not start; every message tells how to mend it."""


class CannotEmbed(Exception):
    """The embedded database cannot be used like this."""


class FolderInUse(CannotEmbed):
    """Another process has this data folder."""


class OtherVersion(CannotEmbed):
    """The data folder was written by another major version of PostgreSQL."""


class NotStarted(CannotEmbed):
    """PostgreSQL ended, or did not answer, again and again."""
