"""`nova doctor`, `migrate`, `replay` and `trace`: looking after a deployment."""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator

import msgspec
from msgspec import Struct

from nova import app
from nova.backbone import migrations
from nova.carriers import carriers
from nova.cli.options import Verbs, say, settings
from nova.cli.options import add as add_options
from nova.features.notifications.models import Story
from nova.kernel.clock import SystemClock
from nova.kernel.errors import Refused, Unavailable
from nova.ports.database import DatabaseUnavailable, Pool
from nova.settings import Misconfigured, Settings


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
    if not loaded.settings.tokens.secret and not loaded.settings.tokens.jwks_url:
        yield Finding(
            "tokens",
            healthy=False,
            detail="no user token can be verified.",
            fix="run 'nova init', or set tokens.secret or tokens.jwks_url.",
        )
    async for finding in carried(loaded.settings):
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
    except (app.CannotStart, DatabaseUnavailable, migrations.Unmigratable) as wrong:
        yield Finding(
            "database",
            healthy=False,
            detail=str(wrong),
            fix="check the setting 'database', and that the server runs.",
        )


async def carried(chosen: Settings) -> AsyncIterator[Finding]:
    """Try every configured carrier of push and mail."""
    try:
        async with carriers(chosen, SystemClock()) as opened:
            for name, carrier in opened.items():
                try:
                    yield Finding(name, healthy=True, detail=f"{await carrier.ping()}.")
                except Unavailable as wrong:
                    fix = wrong.hint or ""
                    yield Finding(name, healthy=False, detail=wrong.detail, fix=fix)
    except Misconfigured as wrong:
        for problem in wrong.problems:
            name, _, detail = problem.partition(": ")
            fix = f"see the settings of '{name}'."
            yield Finding(name, healthy=False, detail=f"{detail}.", fix=fix)


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
        raise app.CannotStart(str(wrong)) from wrong
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

    say(f"{asyncio.run(run())} dead letters will be tried again.")
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
