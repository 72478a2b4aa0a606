"""Write the generated pages of docs/reference; `--check` fails when one is out of date."""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from nova.cli import EXITS, parser
from nova.cli.arguments import Parser
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


INTRODUCTION = """\
# The command line

`nova <verb> --help` shows the options of a verb. A verb, option or setting that does not exist is
answered with the nearest name: `nova sevre` asks whether you meant `serve`.

## Exit status

| status | meaning |
|---|---|
{exits}

## JSON

With `--json`, a verb prints exactly one JSON object on standard output, and nothing else there. A
result is an object of its fields, a list is `{{"data": […]}}`, and a refusal is
`{{"error": {{"code": …, "detail": …, "hint": …}}}}`, as in the HTTP API. Progress, warnings and log
lines go to standard error. `serve`, `demo` and `simulate`, which run until they are stopped, and
`completion`, which prints a script, have no `--json`.

## Log lines

Log lines go to standard error: as text in a terminal, and as one JSON object a line elsewhere. The
setting `log_format` (`NOVA_LOG_FORMAT`) chooses `text` or `json` for both. Colours are used in a
terminal only, and not where `NO_COLOR` is set.
"""


def commands() -> str:
    """Return the reference of the command line."""
    exits = "\n".join(f"| {status} | {meaning} |" for status, meaning in EXITS.items())
    return "\n".join([INTRODUCTION.format(exits=exits), *_verbs(parser(), "##")])


def _verbs(of: Parser, level: str) -> Iterator[str]:
    abouts = of.abouts()
    for verb, inner in of.verbs().items():
        yield f"{level} `{inner.prog}`"
        yield ""
        yield f"{abouts[verb][:1].upper()}{abouts[verb][1:]}."
        yield ""
        if isinstance(inner.epilog, str):
            yield from ["```", inner.epilog, "```", ""]
        yield from _arguments(inner)
        yield from _verbs(inner, level + "#")


def _arguments(of: Parser) -> Iterator[str]:
    shown = of.arguments()
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
