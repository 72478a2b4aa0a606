"""`nova token`, `nova key` and `nova user`: administration without the API."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import nan
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from nova import app
from nova.app.starting import CannotStart
from nova.cli import token_check
from nova.cli.arguments import Verbs
from nova.cli.options import add as add_options
from nova.cli.options import add_json, settings, warn
from nova.cli.output import Listed, fields, show, table
from nova.features.accounts.models import CreatedKey, KeyInfo, NewKey, NewUser, User
from nova.kernel.choices import choices
from nova.kernel.errors import Invalid, NoSuchUser, Unavailable
from nova.kernel.ids import parse_id
from nova.settings import Settings
from nova.web import tokens

T = TypeVar("T")

NOBODY = (
    "nova: There is no user {0!r} yet, so the token is refused until 'nova user create "
    "--external-id {0}' or the setting tokens.create_users makes one."
)
LONGEST_S = 10.0 * 365 * 86_400
"""Lifetime of a token that is made by hand."""


def add(verbs: Verbs) -> None:
    _token(verbs)
    _key(verbs)
    _user(verbs)


def _token(verbs: Verbs) -> None:
    actions = _group(verbs, "token", "make or check user tokens")
    mint = _action(actions, "mint", "print a token for a user", _mint)
    mint.add_argument("sub", help="the user's id, or the host app's own id")
    mint.add_argument(
        "--lifetime", type=_lifetime, default=3600.0, metavar="S", help="seconds (3600)"
    )
    check = _action(actions, "check", "tell which claims of a token are right", token_check.run)
    check.add_argument("token", help="the token, as clients send it")


def _key(verbs: Verbs) -> None:
    actions = _group(verbs, "key", "make, list or revoke server keys")
    create = _action(actions, "create", "make a server key and print it; this once", _create_key)
    create.add_argument("name", help="what the key is for")
    _action(actions, "list", "list the keys, without their secrets", _list_keys)
    revoke = _action(actions, "revoke", "stop a key from working, within a second", _revoke_key)
    revoke.add_argument("id", help="the key's id, as 'nova key list' prints it")


def _user(verbs: Verbs) -> None:
    actions = _group(verbs, "user", "create, show or delete users")
    create = _action(actions, "create", "create a user", _create_user)
    create.add_argument("--external-id", metavar="ID", help="the host app's own id")
    create.add_argument("--name", help="the name that others see")
    show_ = _action(actions, "show", "show a user", _show_user)
    delete = _action(actions, "delete", "delete a user and everything about them", _delete_user)
    for verb in (show_, delete):
        verb.add_argument("user", help="the user's id, or the host app's own id")


def _group(verbs: Verbs, name: str, text: str) -> Verbs:
    return verbs.add_parser(name, help=text).add_subparsers(metavar="<action>", required=True)


def _action(
    actions: Verbs, name: str, text: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    action = actions.add_parser(name, help=text)
    add_json(action)
    add_options(action)
    action.set_defaults(run=run)
    return action


def _mint(args: argparse.Namespace) -> int:
    chosen = settings(args).settings
    given = chosen.tokens
    if not given.secret:
        raise token_check.no_secret(chosen)
    claims = {"aud": given.audience, "iss": given.issuer}
    named: dict[str, Any] = {claim: value for claim, value in claims.items() if value}
    token = tokens.mint(given.secret, args.sub, lifetime_s=args.lifetime, **named)
    show(args, {"token": token, "sub": args.sub, "lifetime_s": args.lifetime}, lambda: token)
    if not given.create_users and asyncio.run(_is_nobody(chosen, args.sub)):
        warn(NOBODY.format(args.sub))
    return 0


async def _is_nobody(chosen: Settings, sub: str) -> bool:
    """Tell whether there is surely no such user; False where the database is not at hand."""
    if not await app.answers(chosen):
        return False
    with suppress(CannotStart, Unavailable):
        async with app.visited(chosen) as house:
            return await house.auth.resolve(sub) is None
    return False


def _create_key(args: argparse.Namespace) -> int:
    new = _valid({"name": args.name}, NewKey)
    made: CreatedKey = _in_house(args, lambda house: house.credentials.create_key(new.name))
    show(args, made, lambda: fields(made))
    return 0


def _list_keys(args: argparse.Namespace) -> int:
    keys: list[KeyInfo] = _in_house(args, lambda house: house.credentials.keys())
    show(args, Listed(keys), lambda: table(keys, empty="There are no server keys."))
    return 0


def _revoke_key(args: argparse.Namespace) -> int:
    key = _id(args.id)
    _in_house(args, lambda house: house.credentials.revoke_key(key))
    show(args, {"revoked": key}, lambda: f"The key {key} is revoked.")
    return 0


def _create_user(args: argparse.Namespace) -> int:
    given = {"external_id": args.external_id, "name": args.name}
    new = _valid({name: value for name, value in given.items() if value is not None}, NewUser)
    user: User = _in_house(args, lambda house: house.accounts.create(new))
    show(args, user, lambda: fields(user))
    return 0


def _show_user(args: argparse.Namespace) -> int:
    async def found(house: app.House) -> User:
        return await house.accounts.get(await _found(house, args.user))

    user = _in_house(args, found)
    show(args, user, lambda: fields(user))
    return 0


def _delete_user(args: argparse.Namespace) -> int:
    async def delete(house: app.House) -> UUID:
        user = await _found(house, args.user)
        await house.accounts.delete(user)
        return user

    user = _in_house(args, delete)
    show(args, {"deleted": user}, lambda: f"The user {user} is deleted.")
    return 0


async def _found(house: app.House, reference: str) -> UUID:
    user = await house.auth.resolve(reference)
    if user is None:
        raise NoSuchUser(f"There is no user {reference!r}.")
    return user


def _valid(given: dict[str, str], kind: type[T]) -> T:
    """Hold what was given on the command line to the bounds of the API."""
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as wrong:
        raise Invalid(f"{choices(kind).named(wrong)}.") from None


def _lifetime(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = nan
    if not 0 < seconds <= LONGEST_S:
        raise argparse.ArgumentTypeError(
            f"a number of seconds above 0, at most {LONGEST_S:.0f}; not {text!r}"
        )
    return seconds


def _id(text: str) -> UUID:
    parsed = parse_id(text)
    if parsed is None:
        raise Invalid(f"{text!r} is not an id.")
    return parsed


def _in_house(args: argparse.Namespace, do: Callable[[app.House], Awaitable[T]]) -> T:
    """Do something over the database, beside a running server or without one."""
    chosen = settings(args).settings

    async def run() -> T:
        async with app.visited(chosen) as house:
            return await do(house)

    return asyncio.run(run())
