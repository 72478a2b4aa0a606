"""Publishing by the host app's backend: any number of messages, the durable ones in one commit."""

from base64 import b64decode
from collections.abc import Sequence

from msgspec import UNSET, Raw, Struct, UnsetType

from nova.kernel.errors import Invalid, NotFound, Refused
from nova.ports.channels import Outgoing, Position
from nova.web.realtime.codecs import is_json
from nova.web.realtime.codes import Failed
from nova.web.realtime.families import Rules
from nova.web.realtime.hub import Hub

MOST_BYTES = 65_536
"""Of one message."""
MOST = 1_000
"""Messages of one request."""
PER_TURN = 64
"""Messages that are delivered before others get their turn of the event loop."""


class NoSuchChannel(NotFound):
    """No configured namespace has this channel."""

    code = "unknown_channel"
    hint = (
        "Add the namespace to `namespaces` in nova.toml; other channels belong to Nova's features."
    )


class MessageTooLarge(Invalid):
    """The message is larger than a channel carries."""

    code = "message_too_large"


class NotJson(Invalid):
    """The data is not JSON, and the channel's namespace accepts JSON only."""

    code = "not_json"
    hint = "Set `binary` for its namespace."


class NotBase64(Invalid):
    """The data is not base64."""

    code = "not_base64"


class OneOfTwo(Invalid):
    """A message has either `data` or `b64data`."""

    code = "one_of_two"


class Message(Struct, frozen=True):
    """Something to publish."""

    channel: str
    data: bytes
    key: str | None = None
    """Publishes once within five minutes, where there is a history."""
    skips_history: bool = False
    is_bytes: bool = False
    """Whether it was given as bytes, so that it may be something else than JSON."""


def message(
    channel: str,
    data: Raw | UnsetType,
    b64data: str,
    key: str | None,
    *,
    skips_history: bool = False,
) -> Message:
    """Return a message whose data came as JSON or in base64. Raises OneOfTwo and NotBase64."""
    if (data is UNSET) == (not b64data):
        raise OneOfTwo
    if not isinstance(data, UnsetType):
        return Message(channel, bytes(data), key, skips_history)
    try:
        content = b64decode(b64data, validate=True)
    except ValueError as wrong:
        raise NotBase64(at="$.b64data") from wrong
    return Message(channel, content, key, skips_history, is_bytes=True)


class Publisher:
    """Publishes to channels of the host app's namespaces, and only to those."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def rules(self, channel: str) -> Rules:
        """Return what holds in a channel of the app's own. Raises NoSuchChannel for others."""
        try:
            rules = self._hub.families.rules(channel)
        except Failed as failed:
            raise NoSuchChannel from failed
        if rules.may_subscribe is not None:
            raise NoSuchChannel("The channel belongs to a feature of Nova.")
        return rules

    async def publish(self, items: Sequence[Message | Refused]) -> list[Position | Refused | None]:
        """Publish in the order given, per channel; return what became of each.

        That is its position (None without a history), or why it was refused: one bad item keeps no
        other out.
        """
        results: list[Position | Refused | None] = []
        stored: dict[int, Outgoing] = {}
        passing: list[Message] = []
        for index, item in enumerate(items):
            results.append(item if isinstance(item, Refused) else self._refusal(item))
            if isinstance(item, Refused) or results[index] is not None:
                continue
            if item.skips_history or self.rules(item.channel).retention is None:
                passing.append(item)
            else:
                stored[index] = Outgoing(item.channel, item.data, key=item.key)
        if stored:
            positions = await self._hub.channels.publish_many(list(stored.values()))
            for index, position in zip(stored, positions, strict=True):
                results[index] = position
        for count, item in enumerate(passing, 1):
            self._hub.pass_on(item.channel, item.data)
            if count % PER_TURN == 0:
                await self._hub.loop_budget.turn()
        return results

    def _refusal(self, item: Message) -> Refused | None:
        try:
            rules = self.rules(item.channel)
        except NoSuchChannel as wrong:
            return wrong
        if item.is_bytes and not rules.binary and not is_json(item.data):
            return NotJson()
        if len(item.data) > MOST_BYTES:
            return MessageTooLarge(f"A message may have up to {MOST_BYTES} bytes.")
        return None
