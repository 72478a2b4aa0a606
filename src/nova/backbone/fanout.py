"""Fan-out of what is not stored: to the other processes, by a few full NOTIFYs."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from secrets import token_hex

import msgspec
from prometheus_client import CollectorRegistry, Counter
from structlog import get_logger

from nova.kernel.errors import Unavailable
from nova.ports.database import Pool
from nova.ports.fanout import Word

CHANNEL = "nova_fanout"
THROTTLE_S = 0.01  # the commits of all NOTIFYs wait for each other
MOST_WAITING = 4 << 20  # bytes; past it the oldest words are lost
MOST_AT_ONCE = 256 << 10  # bytes in one transaction
_PIECE = 7_900  # PostgreSQL refuses payloads of 8,000 bytes

TELL = "select pg_notify($1, payload) from unnest($2::text[]) as s (payload)"

_log = get_logger()
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Word]).decode


class NotifyFanout:
    """The Fanout port over LISTEN and NOTIFY."""

    def __init__(
        self,
        pool: Pool,
        *,
        others: Callable[[], bool],
        registry: CollectorRegistry,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        """`others` tells whether any other process is known to be there."""
        self._pool = pool
        self._others = others
        self._most_waiting = most_waiting
        self._lost = Counter(
            "nova_fanout_lost", "Words to other processes that were lost.", registry=registry
        )
        self._calls: list[Callable[[Word], None]] = []
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._any = asyncio.Event()
        self._sender = token_hex(8)
        self._pieces: defaultdict[str, list[str]] = defaultdict(list)

    @property
    def others(self) -> bool:
        return self._others()

    def tell(self, word: Word) -> None:
        if not self.others:
            return
        self._push(_encode(word))
        while self._size > self._most_waiting:
            self._size -= len(self._waiting.popleft())
            self._lost.inc()

    def listen(self, call: Callable[[Word], None]) -> None:
        self._calls.append(call)

    async def start(self) -> None:
        await self._pool.listen(CHANNEL, self._heard)

    async def turn(self) -> None:
        """Tell everything that waits, or a good part of it."""
        await self._any.wait()
        words = self._next()
        try:
            await self._pool.fetch(TELL, CHANNEL, list(_pieces(self._sender, words)))
        except Unavailable:
            for word in reversed(words):
                self._waiting.appendleft(word)
                self._size += len(word)
            self._any.set()
            raise
        await asyncio.sleep(THROTTLE_S)

    def _push(self, word: bytes) -> None:
        self._waiting.append(word)
        self._size += len(word)
        self._any.set()

    def _next(self) -> list[bytes]:
        words, size = [], 0
        while self._waiting and size < MOST_AT_ONCE:
            words.append(word := self._waiting.popleft())
            size += len(word)
        self._size -= size
        if not self._waiting:
            self._any.clear()
        return words

    def _heard(self, payload: str, own: bool) -> None:  # noqa: FBT001  # the port's shape
        if not payload:  # some may have been missed
            self._pieces.clear()
        elif not own:
            sender, number, count, piece = payload.split(" ", 3)
            self._take(sender, int(number), int(count), piece)

    def _take(self, sender: str, number: int, count: int, piece: str) -> None:
        """Put a piece to those before it; PostgreSQL keeps them together and in order."""
        pieces = self._pieces[sender]
        if number != len(pieces):  # the beginning came before this process listened
            pieces.clear()
            if number:
                return
        pieces.append(piece)
        if len(pieces) == count:
            del self._pieces[sender]
            self._deliver("".join(pieces))

    def _deliver(self, text: str) -> None:
        try:
            words = _decode(text)
        except msgspec.DecodeError:  # of another version of Nova, during an upgrade
            _log.warning("words_unreadable", size=len(text))
            return
        for word in words:
            for call in self._calls:
                try:
                    call(word)
                except Exception:  # noqa: BLE001  # one listener's bug must not cost the others
                    _log.exception("word_not_heard")


def _pieces(sender: str, words: list[bytes]) -> Iterator[str]:
    """Cut words into payloads, each with its place; between characters, since they are text."""
    whole = b"[" + b",".join(words) + b"]"
    ends = [0]
    while ends[-1] < len(whole):
        end = min(ends[-1] + _PIECE - 64, len(whole))
        while end < len(whole) and whole[end] & 0xC0 == 0x80:  # noqa: PLR2004  # inside a character
            end -= 1
        ends.append(end)
    for number, (start, end) in enumerate(pairwise(ends)):
        yield f"{sender} {number} {len(ends) - 1} {whole[start:end].decode()}"
