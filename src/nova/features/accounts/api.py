"""The routes of users, devices, keys and tokens."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct

from nova.features.accounts.credentials import Credentials, NoSuchKey
from nova.features.accounts.devices import NoSuchDevice
from nova.features.accounts.erasure_job import Erasures
from nova.features.accounts.models import (
    Change,
    CreatedKey,
    Device,
    Devices,
    Erasure,
    Export,
    KeyList,
    Minted,
    NewDevice,
    NewKey,
    NewToken,
    NewUser,
    Revocation,
    UpsertResults,
    Upserts,
    User,
)
from nova.features.accounts.service import Accounts
from nova.kernel.errors import NoSuchUser
from nova.kernel.text import NO_NUL
from nova.web.actors import Rule, ServerKey
from nova.web.cursors import BadCursor, Cursors
from nova.web.routes import Call, Paged, Parallel, Route

USER, DEVICES = "/v1/users/{user}", "/v1/users/{user}/devices"
_PUSH_ADDRESS = "cYx1:APA91bHun4MxP5egoKMwt2KZFBaFUH"
"""What a push token of Android looks like."""


class Page(Struct, frozen=True):
    """Which users."""

    search: Annotated[str, Meta(max_length=128), NO_NUL] = ""
    """Only those whose name, last name, mail address or id begins with this; up to `limit`."""
    order: Literal["oldest", "newest"] = "oldest"
    """Who comes first; what a search finds is in the order of names."""
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=512)] | None = None


def routes(
    accounts: Accounts, credentials: Credentials, erasures: Erasures, cursors: Cursors[UUID]
) -> list[Route]:
    users = Users(accounts, cursors)
    doors = Doors(credentials)
    return [
        *_users(users),
        _erasure(erasures),
        *_devices(users),
        *_keys(doors),
        *_tokens(doors),
    ]


class Users:
    """Answers about users and devices."""

    def __init__(self, accounts: Accounts, cursors: Cursors[UUID]) -> None:
        self._accounts = accounts
        self._cursors = cursors

    async def create(self, call: Call[NewUser, Any]) -> User:
        return await self._accounts.create(call.body)

    async def upsert(self, call: Call[Upserts, Any]) -> UpsertResults:
        return UpsertResults(await self._accounts.upsert(call.body.users))

    async def page(self, call: Call[Any, Page]) -> Paged[User]:
        query = call.query
        if text := query.search.strip():
            if query.cursor:
                raise BadCursor("What a search finds is one page.")
            return Paged(await self._accounts.search(text, query.limit))
        newest = query.order == "newest"
        owner = "newest" if newest else ""
        place = self._cursors.open(owner, query.cursor) if query.cursor else None
        found = await self._accounts.page(place, query.limit + 1, newest=newest)
        page = found[: query.limit]
        more = self._cursors.seal(owner, page[-1].id) if len(found) > len(page) else None
        return Paged(page, more)

    async def get(self, call: Call[Any, Any]) -> User:
        return await self._accounts.get(_user(call))

    async def change(self, call: Call[Change, Any]) -> User:
        by_server = isinstance(call.actor, ServerKey)
        return await self._accounts.change(_user(call), call.body, by_server=by_server)

    async def delete(self, call: Call[Any, Any]) -> None:
        await self._accounts.delete(_user(call))

    async def export(self, call: Call[Any, Any]) -> Export:
        return await self._accounts.export(_user(call))

    async def devices(self, call: Call[Any, Any]) -> Devices:
        return Devices(await self._accounts.devices.of(_user(call)))

    async def register(self, call: Call[NewDevice, Any]) -> Device:
        return await self._accounts.register(_user(call), call.body)

    async def forget(self, call: Call[Any, Any]) -> None:
        await self._accounts.devices.forget(_user(call), _id(call, "device"))

    async def refresh(self, call: Call[NewDevice, Any]) -> Device:
        return await self._accounts.devices.refresh(_user(call), _id(call, "device"), call.body)


class Doors:
    """Answers about keys and tokens."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def create(self, call: Call[NewKey, Any]) -> CreatedKey:
        return await self._credentials.create_key(call.body.name, by=_key(call))

    async def keys(self, call: Call[Any, Any]) -> KeyList:  # noqa: ARG002  # a handler's shape
        return KeyList(await self._credentials.keys())

    async def revoke_key(self, call: Call[Any, Any]) -> None:
        await self._credentials.revoke_key(_id(call, "key"), by=_key(call))

    async def mint(self, call: Call[NewToken, Any]) -> Minted:
        return await self._credentials.mint(call.body)

    async def revoke(self, call: Call[Revocation, Any]) -> None:
        await self._credentials.revoke(call.body)


def _user(call: Call[Any, Any]) -> UUID:
    if call.user is None:
        raise NoSuchUser
    return call.user


def _key(call: Call[Any, Any]) -> UUID | None:
    """Return the key of who calls."""
    return call.actor.key if isinstance(call.actor, ServerKey) else None


def _id(call: Call[Any, Any], name: str) -> UUID:
    return call.id_of(name, NoSuchDevice if name == "device" else NoSuchKey)


EXPORTS = Parallel(name="exports", of_one=1)
BULK = Parallel(name="bulk", running=4)


def _users(users: Users) -> Sequence[Route]:
    return [
        Route(
            method="POST",
            path="/v1/users",
            rule=Rule.SERVER,
            handler=users.create,
            body=NewUser,
            returns=User,
            status=201,
            summary="Create a user",
        ),
        Route(
            method="POST",
            path="/v1/users/bulk",
            rule=Rule.SERVER,
            handler=users.upsert,
            body=Upserts,
            each="users",
            returns=UpsertResults,
            max_body=16 << 20,
            parallel=BULK,
            summary="Create or update up to 1,000 users by external_id",
            description=(
                "What an item leaves out stays as it is; null clears it. Each item has its own "
                "result, in order: one that is refused keeps no other out."
            ),
        ),
        Route(
            method="GET",
            path="/v1/users",
            rule=Rule.SERVER,
            handler=users.page,
            query=Page,
            returns=Paged[User],
            cost=2,
            summary="List users, or find them by name, mail address or id",
            description="The oldest or the newest first. A search finds what begins with its text, "
            "in upper or lower case, and has one page.",
        ),
        Route(
            method="GET",
            path=USER,
            rule=Rule.SELF,
            handler=users.get,
            returns=User,
            summary="Get a user",
        ),
        Route(
            method="PATCH",
            path=USER,
            rule=Rule.SELF,
            handler=users.change,
            body=Change,
            example={"name": "Ada", "locale": "en-GB", "avatar_url": None},
            returns=User,
            summary="Change a user",
            description="What is left out stays as it is; null clears it.",
        ),
        Route(
            method="DELETE",
            path=USER,
            rule=Rule.SERVER,
            handler=users.delete,
            status=204,
            summary="Erase a user and everything Nova holds about them",
            description="On return, the user and all that is theirs is gone. What others' inboxes, "
            "logs and histories hold of them goes in the background; `GET /v1/erasures/{reference}`"
            " tells when that is complete.",
        ),
        Route(
            method="GET",
            path=f"{USER}/export",
            rule=Rule.SELF,
            handler=users.export,
            returns=Export,
            cost=100,
            parallel=EXPORTS,
            summary="Export everything Nova holds about a user",
        ),
    ]


def _erasure(erasures: Erasures) -> Route:
    async def state(call: Call[Any, Any]) -> Erasure:
        return await erasures.state(call.path["reference"])

    return Route(
        method="GET",
        path="/v1/erasures/{reference}",
        rule=Rule.SERVER,
        handler=state,
        returns=Erasure,
        summary="Tell how far the erasure of a user is",
        description="By either id that the user had; known for 30 days after its completion.",
    )


def _devices(users: Users) -> Sequence[Route]:
    return [
        Route(
            method="GET",
            path=DEVICES,
            rule=Rule.SELF,
            handler=users.devices,
            returns=Devices,
            summary="List a user's devices",
            description=(
                "A device that its provider calls dead stays with `dead_at` and `dead_reason` "
                "until it registers again."
            ),
        ),
        Route(
            method="PUT",
            path=DEVICES,
            rule=Rule.SELF,
            handler=users.register,
            body=NewDevice,
            example={"platform": "android", "token": _PUSH_ADDRESS, "locale": "en-GB"},
            returns=Device,
            summary="Register a device",
            description="A push token that another user had registered moves to this user.",
        ),
        Route(
            method="PUT",
            path=f"{DEVICES}/{{device}}",
            rule=Rule.SELF,
            handler=users.refresh,
            body=NewDevice,
            example={"platform": "android", "token": _PUSH_ADDRESS},
            returns=Device,
            summary="Give a device its new token",
            description="It keeps its id; the token it had is forgotten.",
        ),
        Route(
            method="DELETE",
            path=f"{DEVICES}/{{device}}",
            rule=Rule.SELF,
            handler=users.forget,
            status=204,
            summary="Forget a device",
        ),
    ]


def _keys(doors: Doors) -> Sequence[Route]:
    return [
        Route(
            method="POST",
            path="/v1/keys",
            rule=Rule.SERVER,
            handler=doors.create,
            body=NewKey,
            returns=CreatedKey,
            status=201,
            summary="Create a server key; its secret is shown once",
            description=(
                "Nova keeps only its SHA-256. Keep the secret on your servers: it may do "
                "everything."
            ),
            secret=True,
        ),
        Route(
            method="GET",
            path="/v1/keys",
            rule=Rule.SERVER,
            handler=doors.keys,
            returns=KeyList,
            summary="List server keys, with their first characters and when each was used last",
        ),
        Route(
            method="DELETE",
            path="/v1/keys/{key}",
            rule=Rule.SERVER,
            handler=doors.revoke_key,
            status=204,
            summary="Revoke a server key, everywhere within a second",
        ),
    ]


def _tokens(doors: Doors) -> Sequence[Route]:
    return [
        Route(
            method="POST",
            path="/v1/tokens",
            rule=Rule.SERVER,
            handler=doors.mint,
            body=NewToken,
            returns=Minted,
            status=201,
            summary="Sign a token for a user",
            description=(
                "The user has to be known to Nova. Whoever has `tokens.secret` can sign tokens "
                "without asking."
            ),
            secret=True,
        ),
        Route(
            method="POST",
            path="/v1/tokens/revoke",
            rule=Rule.SERVER,
            handler=doors.revoke,
            body=Revocation,
            example={"user": "user-1815"},
            status=204,
            summary="Revoke a token, or all of a user, on open sockets too",
            description="Give exactly one of `jti`, `token` and `user`.",
        ),
    ]
