"""The lane to browsers: their endpoints lead to whatever servers somebody named."""

from collections.abc import Sequence
from typing import Any

from nova.features.deliveries.lanes import store
from nova.features.deliveries.lanes.gates import Gate, State, worst
from nova.features.deliveries.lanes.origins import Origins, origin_of, well_known
from nova.features.deliveries.lanes.platforms import Claims, Platform, PlatformLane
from nova.features.deliveries.models import Claimed
from nova.ports.carriers import Carrier, Outcome
from nova.ports.database import Queries

STEPS = 32
"""Origins that one walk comes by; the next one goes on from there."""
NOWHERE = ""
"""The origin of an address without a host, which stands before where every walk begins."""
CLAIMS_A_WALK = 32
"""Claims for those that the last walk found, before somebody new is looked for."""


class BrowserLane(PlatformLane):
    """Claims for each origin by itself, as many as its share has places.

    One that hangs fills its share and no other's; its backlog is not even looked at for others.
    """

    def __init__(self, platform: Platform, carrier: Carrier, **rest: Any) -> None:
        super().__init__(platform, carrier, **rest)
        self.origins = Origins(self._roll, self._gate)
        self._at = {False: "", True: ""}
        self._found_lately: dict[bool, Sequence[str]] = {False: (), True: ()}
        self._trusting = {False: 0, True: 0}

    def gate(self, one: Claimed) -> Gate:
        return self.origins.of(origin_of(one.address))

    def state(self, now: float) -> State:
        """Return the worst state of the well-known services: others are nobody's provider."""
        return worst(self.origins.well_known, now)

    def _pause(self, one: Claimed, outcome: Outcome) -> float:
        """Let no stranger's server say that our settings are wrong and stop the whole lane."""
        return super()._pause(one, outcome) if well_known(origin_of(one.address)) else 0.0

    def _free(self, room: int, *, bulk: bool) -> None:
        super()._free(room, bulk=bulk)
        self.origins.free(bulk=bulk)

    async def _due(self, db: Queries, room: int, *, bulk: bool) -> Claims:
        """Claim for those found lately; else walk on until somebody, or nobody, is found."""
        claims: Claims = []
        if self._trusting[bulk]:
            self._trusting[bulk] -= 1
            claims = await self._claimed(db, self._found_lately[bulk], room, bulk=bulk)
        walking = not claims
        while walking and not claims:
            asking, walking = await self._asking(db, bulk=bulk)
            claims = await self._claimed(db, asking, room, bulk=bulk)
            self._found_lately[bulk], self._trusting[bulk] = asking, CLAIMS_A_WALK
        return claims

    async def _claimed(
        self, db: Queries, asking: Sequence[str], room: int, *, bulk: bool
    ) -> Claims:
        now = self._clock.monotonic()
        reserved = self.origins.reserve(asking, now, room, bulk=bulk)
        self._wants_room |= len(reserved) < len(asking)
        claims: Claims = []
        if reserved:
            claims = await store.claim_for_origins(
                db, self._clock.now(), reserved, self._lease_s, bulk=bulk
            )
        if not claims:
            self.origins.free(bulk=bulk)
        return claims

    async def _asking(self, db: Queries, *, bulk: bool) -> tuple[list[str], bool]:
        """Return origins for which something is due, and whether there may be more of them."""
        steps = STEPS if self.origins.left > 0 else 0
        self._wants_room |= not steps
        rows = await store.origins_due(
            db,
            self._clock.now(),
            after=self._at[bulk],
            walk=steps,
            also=[*self.origins.earned, NOWHERE],
            bulk=bulk,
        )
        walked = [row["origin"] for row in rows if row["walked"]]
        more = len(walked) == STEPS
        if steps:
            self._at[bulk] = walked[-1] if more else ""
        return [row["origin"] for row in rows if row["due"]], more
