"""`nova completion`: scripts that complete verbs, options and their values in a shell."""

import argparse
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from nova.cli.arguments import Parser, Verbs
from nova.cli.options import say

INSTALL = """\
Save the script where your shell looks for it, and open a new shell:
  bash  nova completion bash > ~/.local/share/bash-completion/completions/nova
  zsh   nova completion zsh > _nova, in a folder of your $fpath
  fish  nova completion fish > ~/.config/fish/completions/nova.fish"""


def add(verbs: Verbs) -> None:
    completion = verbs.add_parser(
        "completion",
        help="print a script that completes commands in a shell",
        epilog=INSTALL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    completion.add_argument("shell", choices=list(SHELLS), help="for which shell")
    completion.set_defaults(run=_completion)


def _completion(args: argparse.Namespace) -> int:
    say("\n".join(SHELLS[args.shell](list(places(args.parser)))))
    return 0


class Option(Struct, frozen=True):
    """One option of a verb."""

    names: Sequence[str]
    about: str
    takes_value: bool
    values: Sequence[str]
    """What its value may be, if it is a choice."""


class Place(Struct, frozen=True):
    """What may follow a verb such as `token mint`; `nova` itself has the empty name."""

    name: str
    verbs: Mapping[str, str]
    """The verbs that may follow, with a sentence about each."""
    options: Sequence[Option]
    values: Sequence[str]
    """The values of an argument that is a choice."""
    takes_file: bool


def places(parser: Parser, name: str = "") -> Iterator[Place]:
    """Yield what may follow each verb, as the parser has it."""
    actions = [each for each in parser._actions if each.help != argparse.SUPPRESS]  # noqa: SLF001
    positional = [each for each in parser.arguments() if not each.option_strings]
    yield Place(
        name,
        parser.abouts(),
        [_option(each) for each in actions if each.option_strings],
        [str(value) for each in positional for value in each.choices or ()],
        any(each.type is Path for each in positional),
    )
    for verb, inner in parser.verbs().items():
        yield from places(inner, f"{name} {verb}".strip())


def _option(action: argparse.Action) -> Option:
    return Option(
        action.option_strings,
        action.help or "",
        action.nargs != 0,
        [str(value) for value in action.choices or ()],
    )


# -- bash -----------------------------------------------------------------------------------------


def _bash(found: Sequence[Place]) -> Iterator[str]:
    yield "# Completes nova in bash; made by 'nova completion bash'."
    yield "_nova() {"
    yield "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= word i"
    yield '    if [[ $cur == "=" ]]; then cur=; elif [[ $prev == "=" ]]; then'
    yield "        prev=${COMP_WORDS[COMP_CWORD-2]}"
    yield "    fi"
    yield "    for ((i = 1; i < COMP_CWORD; i++)); do"
    yield "        word=${COMP_WORDS[i]}"
    yield '        case "$verb $word" in'
    yield f"            {_deeper(found)}) verb=${{verb:+$verb }}$word ;;"
    yield "        esac"
    yield "    done"
    yield '    case "$verb:$prev" in'
    for place, option in _valued(found):
        pattern = "|".join(shlex.quote(f"{place.name}:{name}") for name in option.names)
        yield f"        {pattern}) {_bash_words(option.values)}; return ;;"
    yield "    esac"
    yield '    case "$verb" in'
    for place in found:
        yield f"        {shlex.quote(place.name)})"
        yield "            if [[ $cur == -* ]]; then"
        yield f"                {_bash_words(_names(place))}"
        yield "            else"
        words = [*place.verbs, *place.values]
        yield f"                {_bash_words(words, files=place.takes_file)}"
        yield "            fi ;;"
    yield "    esac"
    yield "}"
    yield "complete -F _nova nova"


def _bash_words(words: Sequence[str], *, files: bool | None = None) -> str:
    if words:
        return f'COMPREPLY=($(compgen -W {shlex.quote(" ".join(words))} -- "$cur"))'
    if files is False:
        return "COMPREPLY=()"
    return 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur"))'


# -- zsh ------------------------------------------------------------------------------------------


def _zsh(found: Sequence[Place]) -> Iterator[str]:
    yield "#compdef nova"
    yield "# Completes nova in zsh; made by 'nova completion zsh'."
    yield "_nova() {"
    yield "    local verb= word i"
    yield "    local -a next options"
    yield "    for ((i = 2; i < CURRENT; i++)); do"
    yield "        word=${words[i]}"
    yield '        case "$verb $word" in'
    yield f"            ({_deeper(found)}) verb=${{verb:+$verb }}$word ;;"
    yield "        esac"
    yield "    done"
    yield '    case "$verb:${words[CURRENT-1]}" in'
    for place, option in _valued(found):
        pattern = "|".join(shlex.quote(f"{place.name}:{name}") for name in option.names)
        does = f"compadd -- {shlex.join(option.values)}" if option.values else "_files"
        yield f"        ({pattern}) {does}; return ;;"
    yield "    esac"
    yield '    case "$verb" in'
    for place in found:
        yield f"        ({shlex.quote(place.name)})"
        yield f"            next=({_described(place.verbs)} {shlex.join(place.values)})"
        yield f"            options=({_described(_options(place))})"
        yield f"            {'_files' if place.takes_file else ':'} ;;"
    yield "    esac"
    yield "    if [[ ${words[CURRENT]} == -* ]]; then"
    yield "        _describe -o option options"
    yield "    else"
    yield "        _describe argument next"
    yield "    fi"
    yield "}"
    yield 'if [ "$funcstack[1]" = "_nova" ]; then _nova "$@"; else compdef _nova nova; fi'


def _described(words: Mapping[str, str]) -> str:
    return shlex.join(f"{word}:{about}" for word, about in words.items())


# -- fish -----------------------------------------------------------------------------------------


def _fish(found: Sequence[Place]) -> Iterator[str]:
    yield "# Completes nova in fish; made by 'nova completion fish'."
    yield "function __nova_verb"
    yield "    set -l verb ''"
    yield "    for word in (commandline -opc)[2..]"
    yield '        switch "$verb $word"'
    yield f"            case {_deeper(found, ' ')}"
    yield '                set verb (string trim "$verb $word")'
    yield "        end"
    yield "    end"
    yield "    echo $verb"
    yield "end"
    yield "complete -c nova -f"
    for place in found:
        at = f"""-n 'test "$(__nova_verb)" = {_fish_quoted(place.name, '"')}'"""
        for verb, about in place.verbs.items():
            yield f"complete -c nova {at} -a {verb} -d {_fish_quoted(about)}"
        for option in place.options:
            yield f"complete -c nova {at} {_fish_option(option)} -d {_fish_quoted(option.about)}"
        if place.values:
            yield f"complete -c nova {at} -a {_fish_quoted(' '.join(place.values))}"
        if place.takes_file:
            yield f"complete -c nova {at} -F"


def _fish_option(option: Option) -> str:
    parts = [
        f"-{'l' if name.startswith('--') else 's'} {name.lstrip('-')}" for name in option.names
    ]
    if option.values:
        parts.append(f"-x -a {_fish_quoted(' '.join(option.values))}")
    elif option.takes_value:
        parts.append("-r -F")
    return " ".join(parts)


def _fish_quoted(text: str, mark: str = "'") -> str:
    escaped = text.replace("\\", "\\\\").replace(mark, f"\\{mark}")
    return f"{mark}{escaped}{mark}"


# -- all ------------------------------------------------------------------------------------------


def _deeper(found: Sequence[Place], between: str = "|") -> str:
    """Return patterns of a verb and a word that together name a verb with something under it."""
    pairs = [f"{place.name} {verb}" for place in found for verb in place.verbs]
    return between.join(shlex.quote(pair) for pair in pairs)


def _valued(found: Sequence[Place]) -> Iterator[tuple[Place, Option]]:
    return ((place, option) for place in found for option in place.options if option.takes_value)


def _names(place: Place) -> list[str]:
    return [name for option in place.options for name in option.names]


def _options(place: Place) -> dict[str, str]:
    return {name: option.about for option in place.options for name in option.names}


SHELLS: Mapping[str, Callable[[Sequence[Place]], Iterator[str]]] = {
    "bash": _bash,
    "zsh": _zsh,
    "fish": _fish,
}
