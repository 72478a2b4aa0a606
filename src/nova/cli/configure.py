"""`nova init` and `nova config`: making and understanding a configuration."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import msgspec

from nova import secrets
from nova.cli.options import Verbs, say, settings
from nova.cli.options import add as add_options
from nova.settings import Knob, knobs

HIDDEN = "(secret)"


def add(verbs: Verbs) -> None:
    init = verbs.add_parser("init", help="write a commented nova.toml and generated secrets")
    add_options(init)
    init.set_defaults(run=_init)
    config = verbs.add_parser("config", help="show, check or document the settings")
    add_options(config)
    config.add_argument("what", choices=["show", "check", "doc"])
    config.add_argument("--origin", action="store_true", help="say where each value came from")
    config.set_defaults(run=_config)


def _init(args: argparse.Namespace) -> int:
    path: Path = args.config
    if not secrets.write_once(path, template()):
        say(f"{path} exists already and was left as it is.")
    else:
        say(f"Wrote {path}. Every setting is in it, commented out at its default.")
    say(f"Secrets are in {secrets.ensure(settings(args).settings.data)}.")
    return 0


def _config(args: argparse.Namespace) -> int:
    if args.what == "doc":
        say(reference())
        return 0
    loaded = settings(args)
    if args.what == "check":
        say("The configuration is valid.")
        return 0
    values = msgspec.to_builtins(loaded.settings, enc_hook=str)
    for knob in knobs():
        value: object = values
        for part in knob.name.split("."):
            value = value[part] if isinstance(value, dict) else value
        hidden = knob.secret and value and loaded.origins[knob.name] != "default"
        shown = HIDDEN if hidden else msgspec.json.encode(value).decode()
        say(f"{knob.name} = {shown}" + (f"  # {loaded.origins[knob.name]}" * args.origin))
    return 0


def template() -> str:
    """Return a nova.toml in which every setting is commented out at its default."""
    lines = ["# Settings of Nova. Remove the '#' before a setting to change it.", ""]
    section = ""
    for knob in knobs():
        head, _, last = knob.name.rpartition(".")
        if head != section:
            section = head
            lines += ["", f"[{section}]"]
        if not knob.secret or knob.default:
            lines += [f"# {knob.sentence}", f"# {last} = {default(knob)}"]
    return "\n".join(lines) + "\n"


def reference() -> str:
    """Return the reference of all settings, in Markdown."""
    return "\n".join(_reference())


def _reference() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield (
        "Defaults are overridden by `nova.toml`, that by the environment, and that by flags. "
        "A variable's name with `_FILE` names a file to read the value from. "
        "`nova config show --origin` tells where each value came from."
    )
    yield ""
    yield "| setting | variable | default | |"
    yield "|---|---|---|---|"
    for knob in knobs():
        shown = "generated" if knob.secret and not knob.default else f"`{default(knob)}`"
        yield f"| `{knob.name}` | `{knob.variable}` | {shown} | {knob.sentence} |"


def default(knob: Knob) -> str:
    """Return the default as TOML writes it."""
    value = str(knob.default) if isinstance(knob.default, Path) else knob.default
    return msgspec.json.encode(value).decode()
