"""`nova migrate`, `replay` and `trace`: looking after a deployment."""

import argparse
import asyncio
from collections.abc import Sequence

from nova import app
from nova.app.starting import CannotStart
from nova.backbone import migrations
from nova.backbone.migrations import Migration
from nova.cli.arguments import Misused, Verbs
from nova.cli.options import add as add_options
from nova.cli.options import add_json, settings, warn
from nova.cli.output import Listed, show
from nova.features.notifications.models import Story
from nova.kernel.counting import counted
from nova.ports.database import DatabaseUnavailable


def add(verbs: Verbs) -> None:
    migrate = verbs.add_parser("migrate", help="bring the database's schema up to date")
    migrate.add_argument("--show", action="store_true", help="only list what would be applied")
    migrate.set_defaults(run=_migrate)
    replay = verbs.add_parser("replay", help="try dead letters again")
    replay.add_argument("numbers", nargs="*", type=int, help="the numbers of dead letters")
    replay.add_argument("--all", action="store_true", help="all of them")
    replay.set_defaults(run=_replay)
    trace = verbs.add_parser("trace", help="tell why a notification was or was not sent")
    trace.add_argument("id", help="the id of a notification or of an event")
    trace.set_defaults(run=_trace)
    for verb in (migrate, replay, trace):
        add_json(verb)
        add_options(verb)


def _migrate(args: argparse.Namespace) -> int:
    chosen = settings(args).settings

    async def run() -> Sequence[Migration]:
        async with app.truth(chosen, statement_s=app.MIGRATING_S, creates=not args.show) as pool:
            if not args.show:
                await migrations.migrate(pool, app.all_rooms())
            return await migrations.show(pool, app.all_rooms())

    try:
        shown = asyncio.run(run())
    except (DatabaseUnavailable, migrations.Unmigratable) as wrong:
        raise CannotStart(str(wrong)) from wrong
    rows = [
        {"room": one.room, "number": one.number, "name": one.name, "applied_at": one.applied_at}
        for one in shown
    ]
    show(args, Listed(rows), lambda: "\n".join(map(_migration, shown)))
    return 0


def _migration(one: Migration) -> str:
    at = one.applied_at.isoformat(timespec="seconds") if one.applied_at else "pending"
    return f"{one.room}/{one.number:04}_{one.name}  {at}"


def _replay(args: argparse.Namespace) -> int:
    if not args.numbers and not args.all:
        raise Misused("nova replay", "give the numbers of dead letters, or --all")
    chosen = settings(args).settings

    async def run() -> int:
        async with app.visited(chosen) as house:
            numbers = None if args.all else args.numbers
            return await house.backbone.dead_letters.replay(numbers=numbers)

    found = asyncio.run(run())
    show(
        args,
        {"replayed": found},
        lambda: f"{counted(found, 'dead letter')} will be tried again.",
    )
    if args.numbers and found < len(set(args.numbers)):
        warn("nova replay: not all of these are dead letters; GET /v1/dead-letters lists them")
        return 1
    return 0


def _trace(args: argparse.Namespace) -> int:
    chosen = settings(args).settings

    async def run() -> Story:
        async with app.visited(chosen) as house:
            return await house.notifications.traces.either(args.id)

    story = asyncio.run(run())
    show(args, story, lambda: told(story))
    return 0


def told(story: Story) -> str:
    """Return a trace as text, a step a line."""
    lines = [f"{story.outcome}: {story.says}"]
    width = max((len(step.step) for step in story.steps), default=0)
    lines += [f"{step.ms:>10.1f} ms  {step.step:<{width}} {step.says}" for step in story.steps]
    return "\n".join(lines)
