"""Which channels there are, and what may be done in them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from msgspec import Struct

from nova.ports.channels import Retention
from nova.web.access import ME
from nova.web.actors import User
from nova.web.realtime.codes import BAD_REQUEST, PERMISSION_DENIED, UNKNOWN_CHANNEL, Failed
from nova.web.realtime.namespaces import Namespace

LONGEST = 255
"""Characters of a channel's name."""


class Family(Protocol):
    """Channels `<name>:<anything>` that a feature owns (nova.feature.Channel)."""

    @property
    def name(self) -> str: ...
    @property
    def may_subscribe(self) -> Callable[[User, str], Awaitable[bool]]: ...
    @property
    def retention(self) -> Retention | None: ...
    @property
    def at_connect(self) -> Callable[[User], Sequence[str]] | None: ...
    @property
    def presence(self) -> bool: ...
    @property
    def of_users(self) -> bool: ...


class Method(Protocol):
    """A method of the `rpc` command (nova.feature.Rpc)."""

    @property
    def method(self) -> str: ...
    @property
    def params(self) -> Any: ...
    @property
    def handler(self) -> Callable[[User, Any], Awaitable[Any]]: ...
    @property
    def cost(self) -> int: ...


class Rules(Struct, frozen=True):
    """What holds in one channel."""

    may_subscribe: Callable[[User, str], Awaitable[bool]] | None
    """None: whoever may connect may subscribe, or whoever holds a token for the channel."""
    open: bool
    """Whether users may subscribe without a subscription token."""
    publish: bool
    presence: bool
    join_leave: bool
    retention: Retention | None
    """None: publications are not stored, and have no offsets."""
    recovery: bool
    delta: bool = False
    """Whether subscribers may get differences."""
    binary: bool = False
    """Whether publications may be something else than JSON."""
    personal: bool = False
    """Whether channels with `#` are those of one user each."""


class Families:
    """All families of channels: those of features, and the host app's namespaces."""

    def __init__(
        self,
        families: Sequence[Family],
        namespaces: Sequence[Namespace],
        *,
        at_connect: bool = True,
    ) -> None:
        """Without `at_connect`, users are put into no channels of features at connect.

        Raises ValueError for two of the same name.
        """
        self._rules: dict[str, Rules] = {}
        self._of_users: set[str] = set()
        self._at_connect = at_connect
        self._greeting: list[Callable[[User], Sequence[str]]] = []
        self._personal: list[Callable[[User], Sequence[str]]] = [
            partial(_personal, each.name) for each in namespaces if each.personal
        ]
        for namespace in namespaces:
            self._add(namespace.name, _of_namespace(namespace))
        for family in families:
            self.add(family)

    def add(self, family: Family) -> None:
        """Add channels of a feature. Raises ValueError for a name that is taken."""
        self._add(family.name, _of_family(family))
        if family.of_users:
            self._of_users.add(family.name)
        if family.at_connect and self._at_connect:
            self._greeting.append(family.at_connect)

    def _add(self, name: str, rules: Rules) -> None:
        if name in self._rules:
            raise ValueError(f"two families of channels are called {name!r}")
        self._rules[name] = rules

    def rules(self, channel: str) -> Rules:
        """Return what holds in a channel. Raises Failed for one of no known family."""
        if len(channel) > LONGEST or "\0" in channel:
            raise Failed(BAD_REQUEST)
        name, colon, _ = channel.partition(":")
        rules = self._rules.get(name if colon else "")
        if rules is None or not channel:
            raise Failed(UNKNOWN_CHANNEL)
        return rules

    def meant(self, user: User, channel: str) -> str:
        """Return the channel that a user means: in those of users, `me` is whoever asks.

        So is the id of one's own token. Other names mean themselves.
        """
        family, _, name = channel.partition(":")
        if family in self._of_users and name in {ME, user.subject} and not user.is_stranger:
            return f"{family}:{user.id}"
        return channel

    def retention(self, channel: str) -> Retention | None:
        """Return how long publications of a channel are kept; None for not at all."""
        try:
            return self.rules(channel).retention
        except Failed:
            return None

    def binary(self, channel: str) -> bool:
        """Whether publications of a channel may be something else than JSON."""
        try:
            return self.rules(channel).binary
        except Failed:
            return False

    def at_connect(self, user: User) -> list[str]:
        """Return the channels that the server subscribes a user to; strangers have none."""
        if user.is_stranger:
            return []
        greetings = [*self._greeting, *self._personal]
        return [channel for greet in greetings for channel in greet(user)]

    async def admit(self, user: User, channel: str) -> Rules:
        """Return the rules of a channel that the user may see. Raises Failed for others."""
        rules = self.rules(channel)
        if rules.may_subscribe is None:
            name = channel.rpartition(":")[2]
            is_theirs = name == f"#{user.subject}" and not user.is_stranger
            if rules.personal and name.startswith("#") and not is_theirs:
                raise Failed(PERMISSION_DENIED)
            return rules
        if user.is_stranger or not await rules.may_subscribe(user, channel):
            raise Failed(PERMISSION_DENIED)
        return rules


def methods(rpcs: Sequence[Method]) -> Mapping[str, Method]:
    return {rpc.method: rpc for rpc in rpcs}


def _personal(namespace: str, user: User) -> list[str]:
    """Return the channel of one's own that a user is put into."""
    return [f"{namespace}:#{user.subject}" if namespace else f"#{user.subject}"]


def _of_namespace(namespace: Namespace) -> Rules:
    return Rules(
        may_subscribe=None,
        open=namespace.subscribe,
        publish=namespace.publish,
        presence=namespace.presence,
        join_leave=namespace.join_leave,
        retention=namespace.retention,
        recovery=namespace.recovery,
        delta=namespace.delta,
        binary=namespace.binary,
        personal=namespace.personal,
    )


def _of_family(family: Family) -> Rules:
    return Rules(
        may_subscribe=family.may_subscribe,
        open=True,
        publish=False,
        presence=family.presence,
        join_leave=False,
        retention=family.retention,
        recovery=family.retention is not None,
    )
