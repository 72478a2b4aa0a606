"""`nova doctor`, `migrate`, `replay` and `trace`: looking after a deployment."""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator

import msgspec
from msgspec import Struct

from nova import app
from nova.app import graph as app_graph
from nova.app.starting import CannotStart
from nova.backbone import migrations
from nova.cli.options import Verbs, say, settings
from nova.cli.options import add as add_options
from nova.features.notifications.models import Story
from nova.kernel.clock import SystemClock
from nova.kernel.errors import Refused
from nova.ports.database import DatabaseUnavailable, Pool
from nova.ports.graph import GraphUnavailable
from nova.settings import Settings
from nova.web.jwks import KeysUnavailable


def add(verbs: Verbs) -> None:
    doctor = verbs.add_parser("doctor", help="check every engine, and say how to mend it")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(run=_doctor)
    migrate = verbs.add_parser("migrate", help="apply what the database's schema lacks")
    migrate.add_argument("--show", action="store_true", help="only show what would be applied")
    migrate.set_defaults(run=_migrate)
    replay = verbs.add_parser("replay", help="try dead letters again")
    replay.add_argument("numbers", nargs="*", type=int, help="which ones")
    replay.add_argument("--all", action="store_true", help="all of them")
    replay.set_defaults(run=_replay)
    trace = verbs.add_parser("trace", help="tell why a notification was or was not sent")
    trace.add_argument("id", help="the id of a notification or of an event")
    trace.add_argument("--json", action="store_true", help="print JSON")
    trace.set_defaults(run=_trace)
    for verb in (doctor, migrate, replay, trace):
        add_options(verb)


class Finding(Struct, frozen=True):
    """What the doctor found out about one thing."""

    name: str
    healthy: bool
    detail: str
    fix: str = ""


def _doctor(args: argparse.Namespace) -> int:
    findings = asyncio.run(_found(args))
    if args.json:
        say(msgspec.json.format(msgspec.json.encode(findings)).decode())
    else:
        for one in findings:
            mark = "ok  " if one.healthy else "FAIL"
            say(f"{mark} {one.name}: {one.detail}" + (f" Fix: {one.fix}" if one.fix else ""))
    return 0 if all(one.healthy for one in findings) else 1


async def _found(args: argparse.Namespace) -> list[Finding]:
    return [finding async for finding in _examined(args)]


async def _examined(args: argparse.Namespace) -> AsyncIterator[Finding]:
    loaded = settings(args)
    given = sum(origin != "default" for origin in loaded.origins.values())
    yield Finding("configuration", healthy=True, detail=f"valid; {given} settings given.")
    given_keys = loaded.settings.tokens
    if given_keys.jwks_url:
        yield await _keys(loaded.settings)
    elif not given_keys.secret and not given_keys.jwks_file:
        yield Finding(
            "tokens",
            healthy=False,
            detail="no user token can be verified.",
            fix="run 'nova init', or set tokens.secret, tokens.jwks_url or tokens.jwks_file.",
        )
    async for finding in _outside(loaded.settings):
        yield finding
    try:
        async with app.truth(loaded.settings) as pool:
            start = time.perf_counter()
            version = await pool.ping()
            took = (time.perf_counter() - start) * 1000
            yield Finding(
                "database", healthy=True, detail=f"PostgreSQL {version}, answered in {took:.1f} ms."
            )
            pending = [
                one for one in await migrations.show(pool, app.all_rooms()) if not one.applied_at
            ]
            yield Finding(
                "schema",
                healthy=not pending,
                detail=f"{len(pending)} migrations pending.",
                fix="run 'nova migrate'; 'nova serve' does so by itself." if pending else "",
            )
            if not pending:
                yield await _lag(pool)
    except (CannotStart, DatabaseUnavailable, migrations.Unmigratable) as wrong:
        yield Finding(
            "database",
            healthy=False,
            detail=str(wrong),
            fix="check the setting 'database', and that the server runs.",
        )


async def _keys(settings: Settings) -> Finding:
    _, keys = app.verifier(settings, SystemClock())
    if keys is None:
        raise RuntimeError("there is an address of keys, and nothing that asks it")
    try:
        return Finding("public keys", healthy=True, detail=f"fetched from {await keys.ping()}.")
    except KeysUnavailable as wrong:
        return Finding("public keys", healthy=False, detail=wrong.detail, fix=wrong.hint or "")
    finally:
        await keys.close()


async def _outside(chosen: Settings) -> AsyncIterator[Finding]:
    """Yield how the graph index is, if it is outside of Nova's processes."""
    try:
        async with app_graph.outside(chosen) as outside:
            if outside is not None:
                yield Finding("graph index", healthy=True, detail=f"{await outside.ping()}.")
    except (CannotStart, GraphUnavailable) as wrong:
        yield Finding(
            "graph index",
            healthy=False,
            detail=str(wrong),
            fix="check the setting 'graph', and that the server runs; "
            "a running Nova answers from the database meanwhile.",
        )


async def _lag(pool: Pool) -> Finding:
    dead: int = await pool.value("select count(*) from backbone.dead_letters")
    return Finding(
        "event log",
        healthy=dead == 0,
        detail=f"{dead} dead letters.",
        fix="see GET /v1/dead-letters, then run 'nova replay'." if dead else "",
    )


def _migrate(args: argparse.Namespace) -> int:
    chosen = settings(args).settings

    async def run() -> None:
        async with app.truth(chosen, statement_s=app.MIGRATING_S) as pool:
            if not args.show:
                await migrations.migrate(pool, app.all_rooms())
            for one in await migrations.show(pool, app.all_rooms()):
                at = one.applied_at.isoformat(timespec="seconds") if one.applied_at else "pending"
                say(f"{one.room}/{one.number:04}_{one.name}  {at}")

    try:
        asyncio.run(run())
    except (DatabaseUnavailable, migrations.Unmigratable) as wrong:
        raise CannotStart(str(wrong)) from wrong
    return 0


def _replay(args: argparse.Namespace) -> int:
    if not args.numbers and not args.all:
        sys.stderr.write("nova replay: name dead letters by number, or say --all\n")
        return 2
    chosen = settings(args).settings

    async def run() -> int:
        async with app.visited(chosen) as house:
            numbers = None if args.all else args.numbers
            return await house.backbone.dead_letters.replay(numbers=numbers)

    found = asyncio.run(run())
    say(f"{found} dead letters will be tried again.")
    if args.numbers and found < len(set(args.numbers)):
        sys.stderr.write("nova replay: there are no dead letters of the other numbers\n")
        return 1
    return 0


def _trace(args: argparse.Namespace) -> int:
    chosen = settings(args).settings

    async def run() -> Story:
        async with app.visited(chosen) as house:
            return await house.notifications.traces.either(args.id)

    try:
        story = asyncio.run(run())
    except Refused as refused:
        sys.stderr.write(f"nova trace: {refused.detail}\n")
        return 1
    if args.json:
        say(msgspec.json.format(msgspec.json.encode(story)).decode())
    else:
        say(told(story))
    return 0


def told(story: Story) -> str:
    """Return a story as text, a moment a line."""
    lines = [f"{story.outcome}: {story.says}"]
    lines += [f"{step.ms:>10.1f} ms  {step.step:<12} {step.says}" for step in story.steps]
    return "\n".join(lines)
