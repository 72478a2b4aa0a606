"""Namespaces: families of channels, `<namespace>:<name>`, that the host app uses for itself."""

from msgspec import Struct

from nova.ports.channels import Retention

FAMILIES = frozenset({"user", "feed", "conversation", "stream"})
"""Names that are Nova's own, now or later."""


class Namespace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What clients may do in the channels of one namespace; the empty name is for bare channels."""

    name: str = ""
    subscribe: bool = True
    """Whether users may subscribe by themselves; otherwise only with a subscription token."""
    publish: bool = False
    """Whether subscribers may publish."""
    presence: bool = False
    """Whether subscribers may ask who is there."""
    join_leave: bool = False
    """Whether joins and leaves are pushed to subscribers."""
    history_size: int = 0
    """How many publications are kept; 0 keeps none, and the channel is not recoverable."""
    history_ttl_s: float = 0.0
    """For how many seconds publications are kept."""
    delta: bool = False
    """Whether subscribers that ask for `delta: "fossil"` get differences where they are shorter."""
    binary: bool = False
    """Whether publications may be any bytes: JSON clients get those that are no JSON as base64."""
    personal: bool = False
    """Whether users are put into `#<the token's sub>` at connect, and kept out of others'."""
    recovery: bool = False
    """Whether every subscription recovers what it missed, asked for or not."""

    @property
    def retention(self) -> Retention | None:
        """The history kept, or None where publications are not stored."""
        if self.history_size > 0 and self.history_ttl_s > 0:
            return Retention(self.history_size, self.history_ttl_s)
        return None
