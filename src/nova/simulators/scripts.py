"""What a simulator was told to do: by the beginning of a token, or by rules."""

from collections import deque
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

from nova.simulators.http import Answer, Asked, Manner, Peer

MOST_KEPT = 10_000
MANNERS: dict[str, Manner] = {
    "tarpit": "silence",
    "lost": "cut",
    "refused_stream": "refuse",
    "goaway": "goaway",
}
"""Behaviours of every simulator over HTTP: never answer; take it and lose the reply; refuse the
stream; answer, and end the connection with GOAWAY."""
JSON = (("content-type", "application/json"),)


class Rule(Struct, frozen=True, kw_only=True):
    """From now on, answer so to what has `match` in its token, endpoint or address."""

    match: str = ""
    answer: str
    times: Annotated[int, Meta(ge=1)] | None = None
    """How often; None for ever."""
    after_s: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    retry_after: Annotated[str, Meta(max_length=64)] | None = None
    """The Retry-After header, seconds or a date."""
    timestamp_ms: int | None = None
    """APNs: since when the token is dead."""

    @property
    def refuses(self) -> bool:
        """Whether the stream is refused, so that nothing was received."""
        return self.answer == "refused_stream"


class Control(Struct, frozen=True, kw_only=True):
    """What `POST /simulator/connections` does to the open connections."""

    goaway: bool = False
    last_stream: int | None = None
    max_concurrent_streams: Annotated[int, Meta(ge=0)] | None = None
    cut: bool = False


def readable(token: str) -> str:
    """Return what an APNs token spells, filled up with zeros; the token itself if it does not."""
    try:
        text = bytes.fromhex(token).rstrip(b"\0").decode("ascii")
    except ValueError:
        return token
    return text if text.isprintable() and text else token


class Script:
    """Rules in order, the newest first; then the token's own beginning, up to its first dot."""

    def __init__(self, known: Collection[str]) -> None:
        self.known = frozenset(known) | frozenset(MANNERS) | {"ok"}
        self._rules: list[tuple[Rule, int | None]] = []

    def add(self, rule: Rule) -> None:
        """Raises ValueError for an answer that this simulator does not have."""
        if rule.answer not in self.known:
            raise ValueError(f"no such answer: {rule.answer}; there are {sorted(self.known)}")
        self._rules.insert(0, (rule, rule.times))

    def clear(self) -> None:
        self._rules.clear()

    def find(self, name: str) -> Rule:
        """Return what to do for a token, and count it."""
        rule = self.first(lambda rule: rule.match in name)
        if rule is not None:
            return rule
        beginning = name.split(".", 1)[0]
        return Rule(answer=beginning if beginning in self.known else "ok")

    def first(self, fits: Callable[[Rule], bool]) -> Rule | None:
        """Return the newest rule that fits and is not used up, and count it."""
        for number, (rule, left) in enumerate(self._rules):
            if left != 0 and fits(rule):
                self._rules[number] = (rule, None if left is None else left - 1)
                return rule
        return None


R = TypeVar("R", bound=Struct)


class Received(Generic[R]):
    """What arrived, the oldest dropped beyond the bound."""

    def __init__(
        self, most: int = MOST_KEPT, *, shown: Callable[[R], object] = lambda item: item
    ) -> None:
        """`shown` is what the control endpoint answers for an item."""
        self.shown = shown
        self.items: deque[R] = deque(maxlen=most)
        self.count = 0

    def add(self, item: R) -> None:
        self.count += 1
        self.items.append(item)


def steered(
    asked: Asked, script: Script, received: Received[R], peers: list[Peer]
) -> Answer | None:
    """Answer a request to the control endpoint; None when it is not one."""
    if not asked.path.startswith("/simulator/"):
        return None
    try:
        return _steered(asked, script, received, peers)
    except (msgspec.MsgspecError, ValueError) as wrong:
        return answer_json(422, {"error": str(wrong)})


def _steered(asked: Asked, script: Script, received: Received[R], peers: list[Peer]) -> Answer:
    match asked.method, asked.path.removeprefix("/simulator/"):
        case "POST", "rules":
            script.add(msgspec.json.decode(asked.body, type=Rule))
            return Answer(204)
        case "DELETE", "rules":
            script.clear()
            return Answer(204)
        case "GET", "received":
            return answer_json(
                200,
                {
                    "count": received.count,
                    "items": [received.shown(each) for each in received.items],
                },
            )
        case "DELETE", "received":
            received.items.clear()
            received.count = 0
            return Answer(204)
        case "POST", "connections":
            control = msgspec.json.decode(asked.body, type=Control)
            for peer in peers:
                if control.max_concurrent_streams is not None:
                    peer.limit_streams(control.max_concurrent_streams)
                if control.goaway:
                    peer.goodbye(control.last_stream)
                if control.cut:
                    peer.cut()
            return Answer(204)
        case _:
            return answer_json(404, {"error": "rules, received and connections are there"})


def answer_json(status: int, body: object, *more: tuple[str, str]) -> Answer:
    return Answer(status, (*JSON, *more), msgspec.json.encode(body))


def now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
