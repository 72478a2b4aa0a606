"""Counts with their noun in the singular or plural: `1 dead letter`, `2 dead letters`."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a number and its noun. The plural is the noun with an s, unless it is given."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
