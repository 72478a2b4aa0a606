"""Broadcast inside one process: nothing leaves it, and nothing is kept for others."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence

from nova.ports.broadcast import EVERYBODY, Lost, Message

MOST_WAITING = 10_000  # messages for one member; past it all of them are lost, and it is told so


class Exchange:
    """What the members of one process have in common."""

    def __init__(self) -> None:
        self.followers: defaultdict[str, dict[int, LocalBroadcast]] = defaultdict(dict)
        """Members by what they follow."""


class LocalBroadcast:
    """The Broadcast port among those who share an Exchange."""

    def __init__(
        self, exchange: Exchange | None = None, *, most_waiting: int = MOST_WAITING
    ) -> None:
        self._followers = (exchange or Exchange()).followers
        self._most_waiting = most_waiting
        self._member: int | None = None
        self._waiting: deque[Message] = deque()
        self._any = asyncio.Event()
        self._overflowed = False

    async def join(self, member: int) -> None:
        await self.close()
        self._member = member
        self._waiting.clear()
        await self.follow([EVERYBODY])

    async def follow(self, channels: Sequence[str]) -> None:
        if self._member is not None:
            for channel in channels:
                self._followers[channel][self._member] = self

    async def unfollow(self, channels: Sequence[str]) -> None:
        for channel in channels:
            followers = self._followers.get(channel)
            if followers is not None and self._member is not None:
                followers.pop(self._member, None)
                if not followers:
                    del self._followers[channel]

    async def publish(self, messages: Sequence[Message]) -> Sequence[Message]:
        for message in messages:
            for member, follower in self._followers.get(message.channel, {}).items():
                if member != self._member:
                    follower.take(message)
        return ()

    async def receive(self) -> Sequence[Message]:
        if self._member is None:
            raise Lost
        await self._any.wait()
        self._any.clear()
        messages = [] if self._overflowed else list(self._waiting)
        self._waiting.clear()
        self._overflowed = False
        return messages

    async def check(self) -> None:
        """Nothing can be wrong."""

    async def ping(self) -> str:
        return "in this process"

    async def close(self) -> None:
        await self.unfollow([each for each, who in self._followers.items() if self._member in who])
        self._member = None

    def take(self, message: Message) -> None:
        """Keep a message of another member until it is received."""
        if len(self._waiting) < self._most_waiting:
            self._waiting.append(message)
        else:
            self._overflowed = True
        self._any.set()
