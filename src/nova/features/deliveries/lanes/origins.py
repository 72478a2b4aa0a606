"""The places of a lane, shared among servers that strangers name: an origin earns its share."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from nova.features.deliveries.lanes.gates import Gate

MOST = 1_000
"""Origins that are remembered; full: one that has earned least and longest ago is forgotten."""
WELL_KNOWN = frozenset(
    {
        "fcm.googleapis.com",
        "updates.push.services.mozilla.com",
        "web.push.apple.com",
    }
)
"""The push services of nearly all browsers."""
_WELL_KNOWN_ENDS = (".push.apple.com", ".notify.windows.com", ".push.services.mozilla.com")


def origin_of(address: str) -> str:
    """Return host and port of an endpoint, as the database's `deliveries.origin_of` has it."""
    parts = address.split("/", 3)
    return parts[2].lower() if len(parts) > 2 else ""  # noqa: PLR2004  # scheme:, nothing, host


def well_known(origin: str) -> bool:
    return origin in WELL_KNOWN or origin.endswith(_WELL_KNOWN_ENDS)


class Share(Gate):
    """The gate of one origin: a place more with each answer, half of them lost with each failure.

    It begins with an eighth of the lane's places, and never has the last eighth.
    """

    def __init__(self, roll: Callable[[], float], lane: Gate, *, trusted: bool) -> None:
        self._least = max(1, lane.at_once // 8)
        self._most = max(self._least, lane.at_once - self._least)
        super().__init__(roll, self._most if trusted else self._least, within=lane)

    @property
    def earned(self) -> bool:
        """Whether it has more places than one that never answered."""
        return self.at_once > self._least

    def went(self, *, sick: bool, now: float) -> None:
        super().went(sick=sick, now=now)
        if sick:
            self.at_once = max(self._least, self.at_once // 2)
        else:
            self.at_once = min(self._most, self.at_once + 1)


class Origins:
    """Shares by origin. All that have earned none hold a quarter of the lane's places together.

    So servers that hang fill that quarter, however many names they have, and the others go on.
    Those of well-known services are trusted from the beginning, so that a process that starts
    while others hang does not wait for the word of those that nearly everybody uses.
    """

    def __init__(self, roll: Callable[[], float], lane: Gate) -> None:
        self._roll = roll
        self._lane = lane
        self._shares: dict[str, Share] = {}
        self._reserved: dict[bool, Mapping[str, int]] = {False: {}, True: {}}

    def of(self, origin: str) -> Share:
        found = self._shares.get(origin)
        if found is None:
            self._forget()
            trusted = well_known(origin)
            found = self._shares[origin] = Share(self._roll, self._lane, trusted=trusted)
        return found

    @property
    def well_known(self) -> Iterable[Gate]:
        return [share for origin, share in self._shares.items() if well_known(origin)]

    @property
    def earned(self) -> Sequence[str]:
        return [origin for origin, share in self._shares.items() if share.earned]

    @property
    def left(self) -> int:
        """Places for those that have earned none."""
        quarter = max(1, self._lane.at_once // 4)
        return quarter - sum(share.taken for share in self._shares.values() if not share.earned)

    def reserve(
        self, asking: Sequence[str], now: float, most: int, *, bulk: bool
    ) -> Mapping[str, int]:
        """Keep places for those that ask, the longest unserved first; `free` them after."""
        left = self.left
        reserved: dict[str, int] = {}
        for origin in self._in_turn(asking):
            if most <= 0:
                break
            share = self.of(origin)
            wanted = most if share.earned else min(most, left)
            if room := share.reserve(now, wanted, bulk=bulk) if wanted > 0 else 0:
                reserved[origin] = room
                most -= room
                left -= 0 if share.earned else room
                self._shares[origin] = self._shares.pop(origin)
        self._reserved[bulk] = reserved
        return reserved

    def free(self, *, bulk: bool) -> None:
        for origin, room in self._reserved[bulk].items():
            self._shares[origin].free(room, bulk=bulk)
        self._reserved[bulk] = {}

    def _in_turn(self, asking: Sequence[str]) -> Sequence[str]:
        wanted = set(asking)
        known = [origin for origin in self._shares if origin in wanted]
        return [*(origin for origin in asking if origin not in self._shares), *known]

    def _forget(self) -> None:
        if len(self._shares) < MOST:
            return
        idle = [origin for origin, share in self._shares.items() if not share.taken]
        poorest = min(idle, key=lambda origin: self._shares[origin].at_once, default=None)
        if poorest is not None:
            del self._shares[poorest]
