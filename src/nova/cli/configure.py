"""`nova init` and `nova config`: making and understanding a configuration."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from nova import secrets
from nova.cli.arguments import Verbs
from nova.cli.options import add as add_options
from nova.cli.options import add_json, settings
from nova.cli.output import Listed, show
from nova.settings import Knob, Loaded, knobs

HIDDEN = "(secret)"
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+(?=@)")
"""User and password of an address."""
GENERATED = "..."
"""Stands for a secret that the first start generates: as a value, TOML refuses it."""


def add(verbs: Verbs) -> None:
    init = verbs.add_parser("init", help="write a commented nova.toml and generated secrets")
    add_json(init)
    add_options(init)
    init.set_defaults(run=_init)
    config = verbs.add_parser("config", help="show, check or document the settings")
    add_json(config)
    add_options(config)
    config.add_argument(
        "what",
        choices=["show", "check", "doc"],
        help="show: the values in use; check: whether they are valid; doc: every setting",
    )
    config.add_argument("--origin", action="store_true", help="say where each value came from")
    config.set_defaults(run=_config)


class Written(Struct, frozen=True):
    """What `nova init` did."""

    config: Path
    written: bool
    """False: the file existed, and was left as it is."""
    secrets: Path


def _init(args: argparse.Namespace) -> int:
    path: Path = args.config
    is_new = secrets.write_once(path, template())
    done = Written(path, is_new, secrets.ensure(settings(args).settings.data))
    says = (
        f"Wrote {path}. Every setting is in it, commented out at its default."
        if is_new
        else f"{path} exists already and was left as it is."
    )
    show(args, done, lambda: f"{says}\nSecrets are in {done.secrets}.")
    return 0


def _config(args: argparse.Namespace) -> int:
    if args.what == "doc":
        show(args, Listed([_described(knob) for knob in knobs()]), reference)
        return 0
    loaded = settings(args)
    if args.what == "check":
        show(args, {"valid": True}, lambda: "The configuration is valid.")
        return 0
    values = list(_values(loaded))
    show(args, Listed(values), lambda: "\n".join(_lines(values, origin=args.origin)))
    return 0


class Value(Struct, frozen=True, omit_defaults=True):
    """A setting as it is in use."""

    name: str
    value: Any
    origin: str
    choices: tuple[str, ...] = ()


def _values(loaded: Loaded) -> Iterator[Value]:
    tree = msgspec.to_builtins(loaded.settings, enc_hook=str)
    for knob in knobs():
        value: object = tree
        for part in knob.name.split("."):
            value = value[part] if isinstance(value, dict) else value
        origin = loaded.origins[knob.name]
        hidden = knob.secret and value and origin != "default"
        if isinstance(value, str):
            value = HIDDEN if hidden else _CREDENTIALS.sub(HIDDEN, value)
        yield Value(knob.name, value, origin, knob.choices)


def _lines(values: list[Value], *, origin: bool) -> Iterator[str]:
    for each in values:
        notes = [f"one of {', '.join(each.choices)}"] if each.choices else []
        notes += [each.origin] if origin else []
        shown = HIDDEN if each.value == HIDDEN else msgspec.json.encode(each.value).decode()
        yield f"{each.name} = {shown}" + (f"  # {'; '.join(notes)}" if notes else "")


def template() -> str:
    """Return a nova.toml in which every setting is commented out at its default."""
    lines = ["# Settings of Nova. Remove the '#' before a setting to change it.", ""]
    section = ""
    for knob in knobs():
        head, _, last = knob.name.rpartition(".")
        if head != section:
            section = head
            lines += ["", f"[{section}]"]
        value = GENERATED if knob.generated else default(knob)
        lines += [f"# {sentence(knob)}", f"# {last} = {value}"]
    return "\n".join(lines) + "\n"


def reference() -> str:
    """Return the reference of all settings, in Markdown."""
    return "\n".join(_reference())


def _reference() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield (
        "`nova.toml` overrides the defaults, the environment overrides `nova.toml`, and options of "
        "the command line override both. To keep a value in a file of its own, name the file in "
        "the variable with `_FILE` at its end, as in `NOVA_SMTP_PASSWORD_FILE`. "
        "`nova config show --origin` prints where each value came from."
    )
    yield ""
    yield "| setting | variable | default | meaning |"
    yield "|---|---|---|---|"
    for knob in knobs():
        shown = "generated" if knob.generated else f"`{default(knob)}`"
        yield f"| `{knob.name}` | `{knob.variable}` | {shown} | {sentence(knob, mark='`')} |"


class Described(Struct, frozen=True):
    """A setting, as the reference describes it."""

    name: str
    variable: str
    default: Any
    generated: bool
    secret: bool
    choices: tuple[str, ...]
    sentence: str


def _described(knob: Knob) -> Described:
    return Described(
        knob.name,
        knob.variable,
        knob.default,
        knob.generated,
        knob.secret,
        knob.choices,
        knob.sentence,
    )


def sentence(knob: Knob, mark: str = "") -> str:
    """Return the sentence about a setting, and the values that there are of a choice."""
    if not knob.choices:
        return knob.sentence
    return f"{knob.sentence} One of {', '.join(f'{mark}{each}{mark}' for each in knob.choices)}."


def default(knob: Knob) -> str:
    """Return the default as TOML writes it."""
    value = str(knob.default) if isinstance(knob.default, Path) else knob.default
    return msgspec.json.encode(value).decode()
