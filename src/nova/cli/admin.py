"""`nova token`, `nova key` and `nova user`: administration without the API."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import nan
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from nova import app
from nova.app.starting import CannotStart
from nova.cli.options import Verbs, say, settings
from nova.cli.options import add as add_options
from nova.features.accounts.models import NewKey, NewUser
from nova.kernel.choices import choices
from nova.kernel.clock import SystemClock
from nova.kernel.errors import Invalid, NotFound, Unavailable
from nova.kernel.ids import parse_id
from nova.settings import Settings
from nova.web import tokens

T = TypeVar("T")

NOBODY = (
    "nova: There is no user {0!r} yet, so the token is refused until 'nova user create "
    "--external-id {0}' or tokens.create_users makes one.\n"
)
LONGEST_S = 10.0 * 365 * 86_400
"""Lifetime of a token that is made by hand."""


def add(verbs: Verbs) -> None:
    _token(verbs)
    _key(verbs)
    _user(verbs)


def _token(verbs: Verbs) -> None:
    actions = _group(verbs, "token", "make or examine user tokens")
    mint = _action(actions, "mint", "print a token for a user", _mint)
    mint.add_argument("sub", help="the user's id, or the host app's own id")
    mint.add_argument("--lifetime", type=_lifetime, default=3600.0, help="seconds (3600)")
    check = _action(actions, "check", "say of each claim whether it holds", _check)
    check.add_argument("token")


def _key(verbs: Verbs) -> None:
    actions = _group(verbs, "key", "make, list or revoke server keys")
    create = _action(actions, "create", "print a new server key, this once", _create_key)
    create.add_argument("name", help="what the key is for")
    _action(actions, "list", "list the keys, without their secrets", _list_keys)
    revoke = _action(actions, "revoke", "stop a key from working, within a second", _revoke_key)
    revoke.add_argument("id")


def _user(verbs: Verbs) -> None:
    actions = _group(verbs, "user", "create, show or delete users")
    create = _action(actions, "create", "create a user", _create_user)
    create.add_argument("--external-id", help="the host app's own id")
    create.add_argument("--name")
    show = _action(actions, "show", "show a user", _show_user)
    delete = _action(actions, "delete", "delete a user and everything about them", _delete_user)
    for verb in (show, delete):
        verb.add_argument("user", help="the user's id, or the host app's own id")


def _group(verbs: Verbs, name: str, text: str) -> Verbs:
    return verbs.add_parser(name, help=text).add_subparsers(metavar="<action>", required=True)


def _action(
    actions: Verbs, name: str, text: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    action = actions.add_parser(name, help=text)
    add_options(action)
    action.set_defaults(run=run)
    return action


def _mint(args: argparse.Namespace) -> int:
    chosen = settings(args).settings
    given = chosen.tokens
    if not given.secret:
        raise _no_secret(chosen)
    claims = {"aud": given.audience, "iss": given.issuer}
    named: dict[str, Any] = {claim: value for claim, value in claims.items() if value}
    say(tokens.mint(given.secret, args.sub, lifetime_s=args.lifetime, **named))
    if not given.create_users and asyncio.run(_is_nobody(chosen, args.sub)):
        sys.stderr.write(NOBODY.format(args.sub))
    return 0


async def _is_nobody(chosen: Settings, sub: str) -> bool:
    """Tell whether there is surely no such user; where that cannot be asked at once, it is not."""
    if not await app.answers(chosen):
        return False
    with suppress(CannotStart, Unavailable):
        async with app.visited(chosen) as house:
            return await house.auth.resolve(sub) is None
    return False


def _check(args: argparse.Namespace) -> int:
    chosen = settings(args).settings
    if not (chosen.tokens.secret or chosen.tokens.jwks_url or chosen.tokens.jwks_file):
        raise _no_secret(chosen)
    verifier, keys = app.verifier(chosen, SystemClock())

    async def checked() -> list[tokens.Check]:
        try:
            return await verifier.explain(args.token)
        finally:
            if keys is not None:
                await keys.close()

    checks = asyncio.run(checked())
    for check in checks:
        say(f"{'ok  ' if check.passed else 'FAIL'} {check.name}: {check.detail}")
    return 0 if all(check.passed for check in checks) else 1


def _no_secret(chosen: Settings) -> CannotStart:
    return CannotStart(
        f"There is no token secret in {chosen.data.absolute()}. Name the folder of your Nova with "
        "--data or NOVA_DATA, set tokens.secret, or make a secret there with 'nova init'."
    )


def _create_key(args: argparse.Namespace) -> int:
    new = _valid({"name": args.name}, NewKey)
    return _in_house(args, lambda house: house.credentials.create_key(new.name))


def _list_keys(args: argparse.Namespace) -> int:
    return _in_house(args, lambda house: house.credentials.keys())


def _revoke_key(args: argparse.Namespace) -> int:
    return _in_house(args, lambda house: house.credentials.revoke_key(_id(args.id)))


def _create_user(args: argparse.Namespace) -> int:
    given = {"external_id": args.external_id, "name": args.name}
    new = _valid({name: value for name, value in given.items() if value is not None}, NewUser)
    return _in_house(args, lambda house: house.accounts.create(new))


def _show_user(args: argparse.Namespace) -> int:
    async def show(house: app.House) -> object:
        return await house.accounts.get(await _found(house, args.user))

    return _in_house(args, show)


def _delete_user(args: argparse.Namespace) -> int:
    async def delete(house: app.House) -> None:
        await house.accounts.delete(await _found(house, args.user))

    return _in_house(args, delete)


async def _found(house: app.House, reference: str) -> UUID:
    user = await house.auth.resolve(reference)
    if user is None:
        raise NotFound(f"There is no user {reference!r}.")
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


def _in_house(args: argparse.Namespace, do: Callable[[app.House], Awaitable[object]]) -> int:
    """Do something over the database, and print what it returns as JSON."""
    chosen = settings(args).settings

    async def run() -> object:
        async with app.visited(chosen) as house:
            return await do(house)

    result = asyncio.run(run())
    if result is not None:
        say(msgspec.json.format(msgspec.json.encode(result)).decode())
    return 0
