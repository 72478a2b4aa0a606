"""`nova migrate`, `replay` and `trace`: looking after a deployment."""

import argparse
import asyncio
import sys

import msgspec

from nova import app
from nova.app.starting import CannotStart
from nova.backbone import migrations
from nova.cli.options import Verbs, say, settings
from nova.cli.options import add as add_options
from nova.features.notifications.models import Story
from nova.ports.database import DatabaseUnavailable


def add(verbs: Verbs) -> None:
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
    for verb in (migrate, replay, trace):
        add_options(verb)


def _migrate(args: argparse.Namespace) -> int:
    chosen = settings(args).settings

    async def run() -> None:
        async with app.truth(chosen, statement_s=app.MIGRATING_S, creates=not args.show) as pool:
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
        sys.stderr.write(
            "nova replay: not all of these are dead letters; GET /v1/dead-letters lists them\n"
        )
        return 1
    return 0


def _trace(args: argparse.Namespace) -> int:
    chosen = settings(args).settings

    async def run() -> Story:
        async with app.visited(chosen) as house:
            return await house.notifications.traces.either(args.id)

    story = asyncio.run(run())
    if args.json:
        say(msgspec.json.format(msgspec.json.encode(story)).decode())
    else:
        say(told(story))
    return 0


def told(story: Story) -> str:
    """Return a story as text, a moment a line."""
    lines = [f"{story.outcome}: {story.says}"]
    width = max((len(step.step) for step in story.steps), default=0)
    lines += [f"{step.ms:>10.1f} ms  {step.step:<{width}} {step.says}" for step in story.steps]
    return "\n".join(lines)
