"""How much memory a graph takes in this process; it needs no numpy, so commands can ask it."""

MB = 1_000_000


def expected(people: int, follows: int) -> int:
    """Return about how many bytes such a graph takes, once its lists have grown."""
    return 12 * follows + 55 * people
