"""Publications and words to and from other processes: each hears what its own sockets follow."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
from prometheus_client import CollectorRegistry, Counter
from structlog import get_logger

from nova.backbone.neighbours import Neighbours
from nova.ports.broadcast import EVERYBODY, Broadcast, Lost, Message
from nova.ports.channels import Publication
from nova.ports.fanout import Came, Fanout, Order, Published, Went, Word

MOST_WAITING = 16 << 20  # bytes to be sent; past it the oldest are lost, and the others are told so
MOST_AT_ONCE, BYTES_AT_ONCE = 1_000, 1 << 20  # of one call of the engine
FOLLOWED_AT_ONCE = 1_000
AGAIN_S = 0.05
HEARD_S = 1.0
"""A subscription waits so long for the engine, then begins without it: the engine may be away."""

PUBLICATION, WORD = b"p", b"w"  # what a message begins with

_log = get_logger()
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[str, int, bytes, bytes | None, int, str]).decode
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Word).decode


class Broadcasting:
    """The Audience and the Fanout of this process.

    While no other process is alive, nothing is sent and nothing is followed. What may have been
    lost is told to whoever asked by `on_missed`, to be looked for where it is stored.
    """

    def __init__(
        self,
        engine: Broadcast,
        neighbours: Neighbours,
        orders: Fanout,
        *,
        registry: CollectorRegistry,
        heard: Callable[[Sequence[Publication]], None],
        most_waiting: int = MOST_WAITING,
    ) -> None:
        """`orders` carries what is to be done to connections, whatever the engine does."""
        self.engine = engine
        self._neighbours = neighbours
        self._orders = orders
        self._heard = heard
        self._most_waiting = most_waiting
        self._lost = Counter(
            "nova_broadcast_lost",
            "Messages to other processes that were given up; stored ones are found in the history.",
            registry=registry,
        )
        self._missed = Counter(
            "nova_broadcast_missed",
            "Times that messages of other processes may have been missed, and were looked for.",
            registry=registry,
        )
        self._calls: list[Callable[[Word], None]] = []
        self._on_missed: list[Callable[[], None]] = []
        self._wanted: set[str] = set()
        self._unsettled: dict[str, None] = {}
        """Channels of which the engine has yet to be told; bounded by those that are open."""
        self._waiters: dict[str, asyncio.Future[None]] = {}
        self._interest = asyncio.Event()
        self._life = 0
        """Of this process, in which it joined; 0: it has not."""
        self._is_in = asyncio.Event()
        self._owes_check = False
        self._waiting: deque[Message] = deque()
        self._size = 0
        self._outgoing = asyncio.Event()
        neighbours.on_change(self._membership_changed)

    @property
    def is_settled(self) -> bool:
        """Whether others are alive, and the engine knows all that is followed here."""
        return self._is_in.is_set() and not self._unsettled

    # -- what sockets follow ----------------------------------------------------------------------

    def follow(self, channel: str) -> None:
        self._wanted.add(channel)
        self._changed(channel)

    def unfollow(self, channel: str) -> None:
        self._wanted.discard(channel)
        self._changed(channel)

    async def heard(self, channel: str) -> None:
        if channel not in self._unsettled:
            return
        waiter = self._waiters.get(channel)
        if waiter is None:
            waiter = self._waiters[channel] = asyncio.get_running_loop().create_future()
        await asyncio.wait({waiter}, timeout=HEARD_S)

    def _changed(self, channel: str) -> None:
        if self._neighbours.others:
            self._unsettled[channel] = None
            self._interest.set()

    def _membership_changed(self) -> None:
        # Who is gone may have committed what it did not send; who is new was not sent anything yet.
        self._owes_check = self._neighbours.others or bool(self._life)
        if not self._neighbours.others:
            self._leave()
        elif self._life != self._neighbours.lives:
            self._unsettled = dict.fromkeys(self._wanted)
        self._interest.set()

    def _leave(self) -> None:
        self._life = 0
        self._is_in.clear()
        self._settle(list(self._unsettled))
        self._waiting.clear()
        self._size = 0

    async def interest_turn(self) -> None:
        """Tell the engine what is followed, once for everything that changed meanwhile."""
        await self._interest.wait()
        self._interest.clear()
        try:
            if self._neighbours.others:
                await self._tell_engine()
        except BaseException:
            self._interest.set()
            raise
        if self._owes_check and not self._unsettled:
            self._owes_check = False
            self._push(Message(EVERYBODY, b""))
            self.check()

    async def _tell_engine(self) -> None:
        life = self._neighbours.lives
        if self._life != life:
            await self.engine.join(self._neighbours.id)
            self._unsettled = dict.fromkeys(self._wanted)
            self._life, self._owes_check = life, True
            self._is_in.set()
        while self._unsettled and self._life == life:
            batch = [
                each for each, _ in zip(self._unsettled, range(FOLLOWED_AT_ONCE), strict=False)
            ]
            follow = [each for each in batch if each in self._wanted]
            unfollow = [each for each in batch if each not in self._wanted]
            if follow:
                await self.engine.follow(follow)
            if unfollow:
                await self.engine.unfollow(unfollow)
            self._settle([each for each in follow if each in self._wanted])
            self._settle([each for each in unfollow if each not in self._wanted])

    def _settle(self, channels: Sequence[str]) -> None:
        for channel in channels:
            self._unsettled.pop(channel, None)
            waiter = self._waiters.pop(channel, None)
            if waiter is not None and not waiter.done():
                waiter.set_result(None)

    # -- to other processes -----------------------------------------------------------------------

    def publish(self, publications: Sequence[Publication]) -> None:
        """Send what this process published; for a process alone, nothing is to be done."""
        if self._neighbours.others:
            for each in publications:
                packed = _pack(
                    (each.channel, each.offset, each.data, each.info, each.at_ms, each.epoch)
                )
                self._push(Message(each.channel, PUBLICATION + packed))

    @property
    def others(self) -> bool:
        return self._neighbours.others

    def tell(self, word: Word) -> None:
        if isinstance(word, Published | Came | Went):
            self._push(Message(word.channel, WORD + _encode(word)))
        else:
            self._orders.tell(word)

    def _push(self, message: Message) -> None:
        if not self._neighbours.others:
            return
        self._waiting.append(message)
        self._size += len(message.data)
        self._outgoing.set()
        while self._size > self._most_waiting:
            self._size -= len(self._waiting.popleft().data)
            self._lost.inc()
            self._owes_check = True

    async def publish_turn(self) -> None:
        """Send everything that waits, or a good part of it."""
        await self._outgoing.wait()
        messages = self._next()
        if not messages:
            return
        try:
            unsent = await self.engine.publish(messages)
        except BaseException:
            self._put_back(messages)
            raise
        if unsent:
            self._put_back(unsent)
            await asyncio.sleep(AGAIN_S)
        elif self._owes_check:
            self._interest.set()

    def _next(self) -> Sequence[Message]:
        messages: list[Message] = []
        size = 0
        while self._waiting and size < BYTES_AT_ONCE and len(messages) < MOST_AT_ONCE:
            messages.append(message := self._waiting.popleft())
            size += len(message.data)
        self._size -= size
        if not self._waiting:
            self._outgoing.clear()
        return messages

    def _put_back(self, messages: Sequence[Message]) -> None:
        self._waiting.extendleft(reversed(messages))
        self._size += sum(len(each.data) for each in messages)
        self._outgoing.set()

    # -- from other processes ---------------------------------------------------------------------

    def listen(self, call: Callable[[Word], None]) -> None:
        self._orders.listen(call)
        self._calls.append(call)

    def on_missed(self, call: Callable[[], None]) -> None:
        """Call when messages of other processes may have been missed."""
        self._on_missed.append(call)

    def check(self) -> None:
        """Have the positions of all channels that are followed here looked at."""
        self._missed.inc()
        for call in self._on_missed:
            call()

    async def receive_turn(self) -> None:
        """Hand over what other processes sent."""
        await self._is_in.wait()
        try:
            messages = await self.engine.receive()
        except Lost:
            self._life = 0
            self._is_in.clear()
            self._membership_changed()
            return
        if not messages:
            _log.warning("broadcast_missed")
            self.check()
        publications: list[Publication] = []
        for channel, data in messages:
            if channel == EVERYBODY:
                self.check()
            elif data[:1] == PUBLICATION:
                publications += self._unpacked(data)
            else:
                self._hand_over(publications)
                publications = []
                self._speak(data)
        self._hand_over(publications)

    def _hand_over(self, publications: Sequence[Publication]) -> None:
        if publications:
            self._heard(publications)

    def _unpacked(self, data: bytes) -> list[Publication]:
        try:
            return [Publication(*_unpack(data[1:]))]
        except msgspec.DecodeError:  # of another version of Nova, during an upgrade
            _log.warning("publication_unreadable", size=len(data))
            return []

    def _speak(self, data: bytes) -> None:
        try:
            word = _decode(data[1:])
        except msgspec.DecodeError:  # of another version of Nova, during an upgrade
            _log.warning("word_unreadable", size=len(data))
            return
        if isinstance(word, Order):
            return  # orders never come this way
        for call in self._calls:
            try:
                call(word)
            except Exception:  # noqa: BLE001  # one listener's bug must not cost the others
                _log.exception("word_not_heard")
