"""Refusals: what a caller did that cannot be done, as classes."""

from collections.abc import Mapping
from typing import ClassVar


class Refused(Exception):
    """A request that was understood and turned down; nothing was changed.

    Subclasses name the reason. `status` is the HTTP status, `code` the stable
    machine-readable name, and `hint` the sentence that tells how to mend it.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "refused"
    hint: ClassVar[str | None] = None

    def __init__(
        self, detail: str | None = None, *, retry_after: float | None = None, **extra: object
    ) -> None:
        """`retry_after` is in seconds; `extra` becomes members of the problem document."""
        self.detail = detail or (self.__doc__ or self.code).strip().splitlines()[0]
        self.retry_after = retry_after
        self.extra = extra
        super().__init__(self.detail)


def problem_of(refused: Refused) -> Mapping[str, object]:
    """Return what a result says of an item that was refused."""
    said = {"status": refused.status, "code": refused.code, "detail": refused.detail}
    return said | ({"hint": refused.hint} if refused.hint else {}) | refused.extra


class Malformed(Refused):
    """The request could not be read."""

    status, code = 400, "malformed"


class Invalid(Refused):
    """The request was read, but a value in it is not allowed."""

    status, code = 422, "invalid"


class Unauthenticated(Refused):
    """No valid credentials came with the request."""

    status, code = 401, "unauthenticated"
    hint = (
        "Send 'Authorization: Bearer <credential>': from your backend a server key (nova_sk_…; the "
        "first is in server.key in the data folder), from a user's client that user's token."
    )


class Forbidden(Refused):
    """These credentials may not do this."""

    status, code = 403, "forbidden"


class NotFound(Refused):
    """It does not exist, or it is not yours."""

    status, code = 404, "not_found"


class NoSuchUser(NotFound):
    """There is no such user."""

    code = "no_such_user"


class ServerKeyNeeded(Forbidden):
    """Only the host app's backend may do this."""

    code = "server_key_needed"
    hint = "Send a server key (nova_sk_…) from your backend; never give one to a client."


class InvalidField(Invalid):
    """A field has a value that is not allowed."""

    code = "invalid_field"

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail, at=f"$.{field}")


class BadTypeName(Invalid):
    """A type's name has up to 64 lower-case letters, digits, _ and -, and starts with a letter."""

    code = "bad_type_name"


class BigMetadata(Invalid):
    """The metadata is larger than 8,192 bytes."""

    code = "metadata_too_large"


class Conflict(Refused):
    """The request contradicts what is already stored."""

    status, code = 409, "conflict"


class TooMany(Refused):
    """The caller's rate limit is used up."""

    status, code = 429, "rate_limited"


class Unavailable(Refused):
    """Nova cannot handle this now; nothing was accepted, so try again."""

    status, code = 503, "unavailable"
