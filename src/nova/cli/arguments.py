"""The parser of the command line: argparse, with one-line errors that suggest what was meant."""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from nova.kernel.suggestions import did_you_mean, nearest
from nova.kernel.text import beginning
from nova.settings import knobs

Verbs: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001  # argparse has no public name for it

LONGEST_SHOWN = 64
_REQUIRED = "the following arguments are required: "


class Misused(Exception):
    """Arguments that are not understood; `verb` is the command up to them."""

    def __init__(self, verb: str, detail: str) -> None:
        self.verb = verb
        sentence = detail[:1].upper() + detail[1:]
        super().__init__(sentence if sentence.endswith(("?", "…")) else f"{sentence}.")


class Parser(argparse.ArgumentParser):
    """Parses one verb. Raises Misused instead of ending the process."""

    def error(self, message: str) -> Any:
        if message.startswith(_REQUIRED):
            verbs = ", ".join(self.verbs())
            message = (
                f"one of these has to follow: {verbs}"
                if verbs
                else f"missing: {message.removeprefix(_REQUIRED)}"
            )
        raise Misused(self.prog, message.removeprefix("argument "))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        unknown = self._unknown_option(args or ())
        if unknown is not None:  # before anything that is missing, perhaps because of it
            self.error(self._unknown([unknown]))
        found, others = super().parse_known_args(args, namespace)
        if others:
            self.error(self._unknown(others))
        return found, others

    def verbs(self) -> dict[str, "Parser"]:
        """Return the parsers of the verbs under this one, by name."""
        return {
            name: inner
            for action in self._actions
            if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
            for name, inner in action.choices.items()
        }

    def options(self) -> list[str]:
        return [name for action in self._actions for name in action.option_strings]

    def arguments(self) -> list[argparse.Action]:
        """Return options and positional arguments, without `--help` and verbs."""
        return [
            action
            for action in self._actions
            if action.help != argparse.SUPPRESS
            and not isinstance(action, argparse._SubParsersAction | argparse._HelpAction)  # noqa: SLF001
        ]

    def abouts(self) -> dict[str, str]:
        """Return one sentence about each verb under this one."""
        return {
            each.dest: each.help or ""
            for action in self._actions
            if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
            for each in action._choices_actions  # noqa: SLF001
        }

    def leaves(self) -> Iterator["Parser"]:
        """Yield the parsers of all verbs that do something."""
        verbs = self.verbs()
        for inner in verbs.values():
            yield from inner.leaves()
        if not verbs:
            yield self

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        names = [str(each) for each in action.choices]
        what = f"{action.metavar.strip('<>')} " if isinstance(action.metavar, str) else ""
        near = did_you_mean(str(value), names)
        raise argparse.ArgumentError(
            None, f"there is no {what}{_shown(value)}; {near or f'there are {_listed(names)}'}"
        )

    def _unknown_option(self, args: Sequence[str]) -> str | None:
        """Return the first option that is not known; after a verb, its own parser looks."""
        has_verbs = bool(self.verbs())
        for each in args:
            if each == "--" or (has_verbs and not each.startswith("-")):
                return None
            name = each.partition("=")[0]
            if each.startswith("--") and not any(one.startswith(name) for one in self.options()):
                return name
        return None

    def _unknown(self, others: Sequence[str]) -> str:
        option = next((each for each in others if each.startswith("-")), None)
        if option is None:
            return f"there is one argument too many: {_shown(others[0])}"
        option = option.partition("=")[0]
        inner: dict[str, Parser] = {}
        for leaf in self.leaves():
            for name in leaf.options():
                inner.setdefault(name, leaf)
        if self.verbs() and option in inner:
            return f"{option} comes after the verb, as in: {inner[option].prog} {option} …"
        means = _setting(option) or did_you_mean(option, {**inner, **dict.fromkeys(self.options())})
        return f"there is no option {_shown(option)}" + (f"; {means}" if means else "")


def _setting(option: str) -> str:
    """Return how to give a setting that is not an option, if one was meant."""
    name = option.lstrip("-").replace("-", "_")
    known = {knob.name: knob for knob in knobs()}
    if "." not in name or not (found := nearest(name, known)):
        return ""
    knob = known[found[0]]
    return f"'{knob.name}' is a setting: set it in nova.toml, or as {knob.variable}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _shown(value: object) -> str:
    return repr(beginning(str(value), LONGEST_SHOWN))
