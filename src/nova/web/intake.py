"""Bodies and queries from outside: bounded, decoded, validated, or refused with the reason."""

from asyncio import Timeout, get_running_loop, timeout
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from math import isfinite
from typing import Annotated, Any, get_args, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, inspect
from starlette.types import Receive, Scope

from nova.kernel.choices import Choices
from nova.kernel.errors import Invalid, Malformed, Refused, TooMany
from nova.kernel.suggestions import did_you_mean
from nova.kernel.text import beginning
from nova.web import readable
from nova.web.problems import Overloaded, TooLarge, UnsupportedMedia

MOST_PARAMETERS = 64
WHOLE = "nova.whole"
"""The ASGI extension that tells whether the whole body of a request is here."""
SMALL = 65_536
"""Bytes of a body that needs no room: about what the server reads ahead anyway."""
MOST_ARRIVING = 64
"""Bodies that one user, or one address without credentials, may be sending at a time."""


class MalformedJson(Malformed):
    """The body is not JSON."""

    code = "malformed_json"


class TooDeep(Malformed):
    """The body is nested deeper than Nova reads."""

    code = "too_deep"


class NulCharacter(Invalid):
    """A text holds U+0000 or something that is not a Unicode character."""

    code = "nul_character"


class UnknownParameter(Invalid):
    """The query has an unknown parameter."""

    code = "unknown_parameter"


class Room:
    """How many bytes of large bodies are in hand; full: the newest has to come back later.

    Small ones need none, since there are only so many requests: whoever holds all room with
    large bodies that never end does not keep others out.
    """

    def __init__(self, most: int, *, of_one: int | None = None) -> None:
        """Of `most` bytes, one sender may have `of_one` in hand; all, when that is not said."""
        self._left = most
        self._most_of_one = most if of_one is None else of_one
        self._of: Counter[str] = Counter()

    def of(self, sender: str) -> "Place":
        return Place(self, sender)

    def take(self, sender: str, need: int) -> None:
        if need > self._left:
            raise Overloaded("Nova is handling as many large requests as it can.", retry_after=1.0)
        if self._of[sender] + need > self._most_of_one:
            raise TooMany("Too many of your large requests are in progress.", retry_after=1.0)
        self._left -= need
        self._of[sender] += need

    def give(self, sender: str, size: int) -> None:
        self._left += size
        self._of[sender] -= size
        if not self._of[sender]:
            del self._of[sender]


class Place:
    """The room of one sender's body."""

    __slots__ = ("_room", "_sender")

    def __init__(self, room: Room, sender: str) -> None:
        self._room = room
        self._sender = sender

    def grow(self, size: int, to: int) -> None:
        """Take what a body needs that had `size` bytes so far."""
        if need := _large(to) - _large(size):
            self._room.take(self._sender, need)

    def give(self, size: int) -> None:
        if large := _large(size):
            self._room.give(self._sender, large)


class Arrivals:
    """The bodies that each sender is sending just now; of too many, the oldest gives way.

    So a flood of bodies that never end keeps out nobody who sends one as clients do.
    """

    def __init__(self) -> None:
        self._of: defaultdict[str, dict[Timeout, None]] = defaultdict(dict)

    @asynccontextmanager
    async def of(self, sender: str) -> AsyncIterator[None]:
        """Count a body as long as the block runs. Raises TooMany, within it, if it gives way."""
        arriving = self._of[sender]
        if len(arriving) >= MOST_ARRIVING:
            oldest = next(iter(arriving))
            del arriving[oldest]
            oldest.reschedule(get_running_loop().time())
        place = timeout(None)
        arriving[place] = None
        try:
            async with place:
                yield
        except TimeoutError:
            if not place.expired():
                raise
            raise TooMany(
                "Too many of your requests are still being sent.", retry_after=1.0
            ) from None
        finally:
            arriving.pop(place, None)
            if not arriving:
                self._of.pop(sender, None)


def _large(size: int) -> int:
    return size if size > SMALL else 0


async def read(receive: Receive, headers: Mapping[bytes, bytes], most: int, place: Place) -> bytes:
    """Return the whole body, of up to `most` bytes; the connection's guard sees to its time.

    It has taken its place, which is to be given back.
    """
    length = headers.get(b"content-length")
    if length is not None and (not length.isdigit() or int(length[:20]) > most):
        raise TooLarge(f"The body may have up to {most} bytes.")
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body") and len(body) <= most:
        if message["type"] == "http.disconnect":
            raise Malformed("The client closed the connection.")
        place.grow(0, len(body))
        return body
    parts: list[bytes] = []
    size = 0
    try:
        async for part in _arriving(receive, body, most):
            place.grow(size, size + len(part))
            size += len(part)
            parts.append(part)
    except BaseException:
        place.give(size)
        raise
    return b"".join(parts)


def is_whole(scope: Scope) -> bool:
    """Return whether a request's body is here, so that reading it waits for nothing."""
    whole = scope.get("extensions", {}).get(WHOLE)
    return whole is not None and whole()


async def _arriving(receive: Receive, first: bytes, most: int) -> AsyncIterator[bytes]:
    """Yield a body's parts after its first one, too; refuse one that is too large as it comes."""
    part, size, more = first, 0, True
    while True:
        size += len(part)
        if size > most:
            raise TooLarge(f"The body may have up to {most} bytes.")
        yield part
        if not more:
            return
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Malformed("The client closed the connection.")
        part, more = message.get("body", b""), message.get("more_body", False)


def json(headers: Mapping[bytes, bytes]) -> None:
    """Refuse a body that its headers do not call plain JSON."""
    kind = headers.get(b"content-type", b"")
    if kind != b"application/json":
        media, _, parameters = kind.lower().partition(b";")
        media = media.strip()
        if media != b"application/json" and not media.endswith(b"+json"):
            raise UnsupportedMedia("The content type has to be application/json.")
        if b"charset=" in parameters and b"utf-8" not in parameters:
            raise UnsupportedMedia("The charset has to be UTF-8.")
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise UnsupportedMedia("A compressed body is not read.")


class BadItem(Struct, frozen=True):
    """An item of a batch that could not be read: it stands in the place of the item."""

    refused: Refused
    raw: Raw

    def text(self, name: str) -> str | None:
        """Return a member of the item that is a text, to tell which one it was."""
        if len(bytes(self.raw)) > readable.QUICK:
            return None
        try:
            found = msgspec.json.decode(readable.readable(bytes(self.raw))).get(name)
        except (msgspec.DecodeError, AttributeError):
            return None
        return found if isinstance(found, str) else None


class TakesLong(Exception):
    """A large batch has to be read item by item; that takes too long for a turn of the loop."""


class RawBatch:
    """Hands a batch on as it came, to somebody who looks at every item."""

    def decode(self, body: bytes) -> Raw:
        body.decode()
        return msgspec.json.decode(body, type=Raw)


class Batch:
    """Reads a body's list item by item, once the body as a whole could not be read."""

    def __init__(self, kind: Any, each: str) -> None:
        info = inspect.type_info(kind)
        if not isinstance(info, inspect.StructType):
            raise TypeError(f"{kind}: a batch is a msgspec Struct")
        found = next(field for field in info.fields if field.name == each).type
        if not isinstance(found, inspect.ListType):
            raise TypeError(f"{kind}: {each} is no list")
        bounds = Meta(min_length=found.min_length, max_length=found.max_length)
        self._name = each
        self._outer = msgspec.json.Decoder(
            msgspec.defstruct(
                kind.__name__,
                [
                    (field.name, Annotated[list[Raw], bounds] if field.name == each else field.type)
                    for field in msgspec.structs.fields(kind)
                ],
                forbid_unknown_fields=info.forbid_unknown_fields,
            )
        )
        hints = get_type_hints(kind, include_extras=True)
        (item,) = get_args(get_args(hints[each])[0])
        self._items = Bodies(item)

    def decode(self, body: bytes) -> Any:
        read = self._outer.decode(body)
        setattr(read, self._name, [self._item(raw) for raw in getattr(read, self._name)])
        return read

    def _item(self, raw: Raw) -> Any:
        try:
            return self._items.decode(bytes(raw))
        except Refused as refused:
            return BadItem(refused, raw)


def _is_raw(kind: Any) -> bool:
    info = inspect.type_info(kind)
    while isinstance(info, inspect.Metadata):
        info = info.type
    return isinstance(info, inspect.RawType)


class Bodies:
    """Decodes the bodies of one route; of `each`, a list, every item is read or refused by itself.

    Bodies without a fault are read at once: only what could not be read is looked at again.
    """

    def __init__(self, kind: Any, each: str | None = None) -> None:
        self._decode = msgspec.json.Decoder(kind).decode
        self._choices = Choices(kind)
        self._batch: Batch | RawBatch | None = None
        if each is not None:
            self._batch = RawBatch() if _is_raw(kind) else Batch(kind, each)
        self.may_be_empty = self._takes_nothing()

    def _takes_nothing(self) -> bool:
        try:
            self._decode(b"{}")
        except msgspec.ValidationError:
            return False
        return True

    def decode(self, body: bytes, *, quickly: bool = True) -> Any:
        """Return the validated body. Of a key that comes twice, the last one counts.

        Raises TakesLong for a large batch with bad items: decode it in a thread, not `quickly`.
        """
        try:
            if self._batch is not None:
                return self._each(self._batch, body, quickly=quickly)
            if readable.has_nul(body):
                raise TooDeep if readable.TOO_DEEP in body else NulCharacter
            body.decode()  # what is kept as it came is not looked at otherwise
            return self._decode(body or b"{}" if self.may_be_empty else body)
        except msgspec.ValidationError as error:
            raise _invalid(error, self._choices) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedJson(str(error)) from None
        except RecursionError:
            raise TooDeep from None

    def _each(self, batch: Batch | RawBatch, body: bytes, *, quickly: bool) -> Any:
        """Read a batch; item by item where one of them is bad, perhaps."""
        if not readable.has_nul(body):
            try:
                body.decode()
                return self._decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass
        try:
            return batch.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if quickly and len(body) > readable.QUICK:
                raise TakesLong from None
            return batch.decode(readable.readable(body))


def _invalid(error: msgspec.ValidationError, choices: Choices) -> Invalid:
    """Return the refusal that names the value and what was expected of it."""
    says = choices.named(error)
    what, _, where = says.partition(" - at ")
    return Invalid(says, at=where.removeprefix("`key` in ").strip("`") or "$", expected=what)


class Queries:
    """Decodes the query strings of one route into its Struct; `UNSET` takes no parameters."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._choices = Choices(kind)
        self._lists: dict[str, bool] = {}
        self._floats: list[str] = []
        self._default: Callable[[], Any] | None = None
        if kind is UNSET:
            return
        info = inspect.type_info(kind)
        if not isinstance(info, inspect.StructType):
            raise TypeError(f"{kind}: a query is a msgspec Struct")
        for field in info.fields:
            kinds = _members(field.type)
            self._lists[field.encode_name] = any(isinstance(one, _LISTS) for one in kinds)
            if any(isinstance(one, inspect.FloatType) for one in kinds):
                self._floats.append(field.name)
        if not any(field.required for field in info.fields):
            self._default = info.cls

    def decode(self, query: bytes) -> Any:
        """Return the validated query."""
        if not query:
            if self._kind is UNSET:
                return UNSET
            if self._default is not None:
                return self._default()
        values = self._gather(query)
        if self._kind is UNSET:
            return UNSET
        try:
            decoded = msgspec.convert(values, self._kind, strict=False)
        except msgspec.ValidationError as error:
            raise _invalid(error, self._choices) from None
        for name in self._floats:
            value = getattr(decoded, name)
            if isinstance(value, float) and not isfinite(value):
                raise Invalid(f"Expected a finite number - at `$.{name}`", at=f"$.{name}")
        return decoded

    def _gather(self, query: bytes) -> dict[str, str | list[str]]:
        values: dict[str, str | list[str]] = {}
        lists: dict[str, list[str]] = {}
        for name, value in _pairs(query):
            if name not in self._lists:
                raise _unknown(name, self._lists)
            if "\0" in value:
                raise NulCharacter(at=f"$.{name}")
            if self._lists[name]:
                lists.setdefault(name, []).append(value)
            elif name in values:
                raise Invalid(f"The parameter '{name}' was given twice.", at=f"$.{name}")
            else:
                values[name] = value
        return values | lists


_LISTS = (inspect.ListType, inspect.SetType, inspect.FrozenSetType, inspect.VarTupleType)


def _members(node: inspect.Type) -> tuple[inspect.Type, ...]:
    return node.types if isinstance(node, inspect.UnionType) else (node,)


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )
    except UnicodeDecodeError:
        raise Malformed("The query is not percent-encoded UTF-8.") from None
    except ValueError:
        raise Malformed(f"The query may have up to {MOST_PARAMETERS} parameters.") from None


def _unknown(name: str, known: Mapping[str, object]) -> UnknownParameter:
    says = f"There is no parameter '{beginning(name, 64)}'"
    if near := did_you_mean(name, known):
        return UnknownParameter(f"{says}; {near}")
    takes = ", ".join(known) or "none"
    return UnknownParameter(f"{says}; this route takes {takes}.")
