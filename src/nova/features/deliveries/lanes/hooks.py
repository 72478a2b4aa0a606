"""The lane of webhooks."""

from collections.abc import Awaitable, Callable, Collection
from typing import Any
from uuid import UUID

from nova.features.deliveries.lanes import store
from nova.features.deliveries.lanes.gates import Gate, State, worst
from nova.features.deliveries.lanes.lane import Lane, first
from nova.features.deliveries.models import Claimed
from nova.ports.carriers import Outcome


class HookLane(Lane):
    """Calls webhooks: each of them has its own room and breaker, as each is a server.

    One that hangs or fails is waited for by nobody else's calls.
    """

    def __init__(
        self,
        post: Callable[[Claimed], Awaitable[Outcome]],
        *,
        targets: Callable[[], Awaitable[Collection[UUID]]],
        **rest: Any,
    ) -> None:
        """`targets` returns all webhooks."""
        super().__init__("hook", **rest)
        self._post = post
        self._targets = targets
        self._gates: dict[UUID, Gate] = {}

    @property
    def carried_by(self) -> str:
        return "webhooks"

    def gate(self, one: Claimed) -> Gate:
        return self.gate_of(one.device or one.user)

    def gate_of(self, target: UUID) -> Gate:
        found = self._gates.get(target)
        if found is None:
            found = self._gates[target] = Gate(self._roll, self._pacing.at_once)
        return found

    def state(self, now: float) -> State:
        return worst(self._gates.values(), now)

    async def turn(self) -> None:
        self._bell.clear()
        if not await self._claim():
            await first(self._bell, self._pacing.wait_s)

    async def _claim(self) -> int:
        started = self._clock.monotonic()
        self._meters.breaker.labels(self.name).set(self.state(started) is State.OPEN)
        targets = await self._targets()
        self._forget(targets)
        reserved = {
            target: room
            for target in targets
            if (room := self.gate_of(target).reserve(started, self._pacing.at_once))
        }
        self._wants_room = len(reserved) < len(targets)
        if not reserved:
            return 0
        try:
            now = self._clock.now()
            claimed = await store.claim_for_targets(
                self._db, self.name, now, reserved, self._lease_s
            )
        finally:
            for target, room in reserved.items():
                self.gate_of(target).free(room)
        self._start(claimed, {}, started)
        return len(claimed)

    def _forget(self, targets: Collection[UUID]) -> None:
        for gone in self._gates.keys() - set(targets):
            if not self._gates[gone].under_way:
                del self._gates[gone]

    async def _out(self, one: Claimed, badge: int | None) -> Outcome:
        del badge
        return await self._post(one)
