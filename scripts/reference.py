"""Write the generated pages of docs/reference; `--check` fails when one is out of date."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from nova.cli import parser
from nova.cli.configure import reference as settings
from nova.features.accounts import events as accounts
from nova.features.deliveries import events as deliveries
from nova.features.graph import events as graph
from nova.features.notifications import events as notifications
from nova.features.posts import events as posts
from nova.kernel.events import Fact

ROOMS = {
    "accounts": accounts,
    "graph": graph,
    "notifications": notifications,
    "posts": posts,
    "deliveries": deliveries,
}
FOLDER = Path(__file__).parents[1] / "docs" / "reference"


def commands() -> str:
    """Return the reference of the command line."""
    return "\n".join(["# The command line", "", *_verbs(parser(), "nova", "##")])


def _verbs(of: argparse.ArgumentParser, name: str, level: str) -> Iterator[str]:
    for action in of._actions:  # noqa: SLF001  # argparse has no public list of them
        if not isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # likewise
            continue
        about = {each.dest: each.help for each in action._choices_actions}  # noqa: SLF001
        for verb, inner in action.choices.items():
            yield f"{level} `{name} {verb}`"
            yield ""
            yield f"{(about[verb] or '').capitalize()}."
            yield ""
            yield from _arguments(inner)
            yield from _verbs(inner, f"{name} {verb}", level + "#")


def _arguments(of: argparse.ArgumentParser) -> Iterator[str]:
    shown = [
        action
        for action in of._actions  # noqa: SLF001
        if action.help != argparse.SUPPRESS
        and not isinstance(action, argparse._SubParsersAction | argparse._HelpAction)  # noqa: SLF001
    ]
    for action in shown:
        names = ", ".join(f"`{each}`" for each in action.option_strings) or f"`{action.dest}`"
        choices = f" ({', '.join(map(str, action.choices))})" if action.choices else ""
        yield f"- {names}{choices}" + (f": {action.help}" if action.help else "")
    if shown:
        yield ""


def facts() -> str:
    """Return the reference of the facts in the event log."""
    lines = ["# Events of the log", "", "What features write to the log, in the past tense.", ""]
    for room, module in ROOMS.items():
        lines += [f"## {room}", ""]
        for name, kind in vars(module).items():
            is_fact = isinstance(kind, type) and issubclass(kind, Fact) and kind is not Fact
            if is_fact and not name.startswith("_"):
                about = kind.__doc__.strip().splitlines()[0]
                fields = ", ".join(f"`{each.name}`" for each in msgspec.structs.fields(kind))
                lines += [f"- **{name}** (topic `{kind.topic}`): {about} Fields: {fields}."]
        lines.append("")
    return "\n".join(lines).rstrip()


PAGES = {"settings.md": settings, "command-line.md": commands, "events.md": facts}


def main() -> int:
    stale = []
    for name, make in PAGES.items():
        path, text = FOLDER / name, make().rstrip() + "\n"
        if path.exists() and path.read_text("utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.write_text(text, "utf-8")
    if stale and "--check" in sys.argv:
        print(f"out of date: {', '.join(stale)}; run 'make docs'")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
