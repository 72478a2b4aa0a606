"""Position audit: finds what was stored in followed channels and did not arrive here."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from math import ceil
from typing import Protocol

from nova.ports.channels import Channels
from nova.web.realtime.lanes import Lane

EVERY_S = 1.0
ROUND_S = 4.0
"""In which each channel is looked at once, while they are few."""
MOST = 4_000
"""Channels looked at in a second; where more are followed, a round takes longer."""
AT_ONCE = 500
REST_S = 0.2
"""After a look at all, however often it is asked for."""


class Shared(Protocol):
    """Whether other processes publish, too."""

    @property
    def others(self) -> bool: ...


class PositionAudit:
    """Compares the positions of this process's channels with the stored ones, in rounds.

    An engine that carries publications may lose them. A loss in the middle is seen by the next
    offset; the loss of the last one only here.
    """

    def __init__(self, lanes: Mapping[str, Lane], channels: Channels, shared: Shared) -> None:
        self._lanes = lanes
        self._channels = channels
        self._shared = shared
        self._round: list[str] = []
        """Channels that this round has yet to look at."""
        self._all = asyncio.Event()

    def check_all(self) -> None:
        """Look at every channel, soon."""
        self._all.set()

    async def turn(self) -> None:
        """Look at every channel if that was asked for, else at a share of them after a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(EVERY_S):
                await self._all.wait()
        if self._all.is_set():
            self._all.clear()
            try:
                await self._check(list(self._lanes))
            except BaseException:
                self._all.set()
                raise
            await asyncio.sleep(REST_S)
        elif self._shared.others:
            await self._check(self._share())

    def _share(self) -> list[str]:
        if not self._round:
            self._round = list(self._lanes)
        count = min(MOST, ceil(len(self._lanes) * EVERY_S / ROUND_S))
        share, self._round = self._round[:count], self._round[count:]
        return share

    async def _check(self, names: list[str]) -> None:
        for start in range(0, len(names), AT_ONCE):
            seen = {
                name: lane.position
                for name in names[start : start + AT_ONCE]
                if (lane := self._lanes.get(name)) is not None and lane.position is not None
            }
            if not seen:
                continue
            for name, stored in (await self._channels.known(list(seen))).items():
                if (lane := self._lanes.get(name)) is not None:
                    lane.catch_up(seen[name], stored)
