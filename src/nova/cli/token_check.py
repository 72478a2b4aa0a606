"""`nova token check`: whether a server would take a token, and which part of it is wrong."""

import argparse
import asyncio

from msgspec import Struct

from nova import app
from nova.app.starting import CannotStart
from nova.cli.options import settings
from nova.cli.output import show
from nova.kernel.clock import SystemClock
from nova.kernel.errors import Unavailable
from nova.settings import Settings
from nova.web.tokens import Check

MARKS = {True: "ok  ", False: "FAIL", None: "?   "}
UNASKED = (
    "not looked up: the database is not running. Start 'nova serve' to learn whether the user "
    "exists and whether the token was revoked."
)


class Checked(Struct, frozen=True):
    """What is known about a token."""

    valid: bool | None
    """Whether a server takes it; null where the database could not be asked about its user."""
    data: list[Check]


def run(args: argparse.Namespace) -> int:
    chosen = settings(args).settings
    given = chosen.tokens
    if not (given.secret or given.jwks_url or given.jwks_file):
        raise no_secret(chosen)
    checks = asyncio.run(_checks(chosen, args.token))
    passed = [check.passed for check in checks]
    verdict = False if False in passed else None if None in passed else True
    show(
        args,
        Checked(verdict, checks),
        lambda: "\n".join(f"{MARKS[each.passed]} {each.name}: {each.detail}" for each in checks),
    )
    return 1 if verdict is False else 0


def no_secret(chosen: Settings) -> CannotStart:
    return CannotStart(
        f"There is no token secret in {chosen.data.absolute()}. Name the folder of your Nova with "
        "--data or NOVA_DATA, set tokens.secret, or make a secret there with 'nova init'."
    )


async def _checks(chosen: Settings, token: str) -> list[Check]:
    """Check the token itself and, if that is right, its user in the database."""
    verifier, keys = app.verifier(chosen, SystemClock())
    try:
        checks = await verifier.explain(token)
    finally:
        if keys is not None:
            await keys.close()
    if not all(check.passed for check in checks):
        return checks
    if not await app.answers(chosen):
        return [*checks, Check("user", passed=None, detail=UNASKED)]
    try:
        async with app.visited(chosen) as house:
            return [*checks, await house.auth.explain(token)]
    except (CannotStart, Unavailable) as wrong:
        return [*checks, Check("user", passed=None, detail=f"not looked up: {wrong}")]
