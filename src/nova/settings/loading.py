"""Settings as they are given: files, the environment, flags; all errors are told at once."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

import msgspec

from nova.kernel.choices import Choices
from nova.kernel.suggestions import nearest
from nova.settings.checks import contradictions
from nova.settings.everything import Knob, Settings, knobs

PREFIX, OF_FILE = "NOVA_", "_FILE"
LISTED = "'nova config doc' lists all settings"


class Loaded(NamedTuple):
    """Settings, and for each knob where its value came from."""

    settings: Settings
    origins: Mapping[str, str]


class Misconfigured(Exception):
    """The configuration has errors; `problems` holds all of them."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def load(
    files: Sequence[Path], environment: Mapping[str, str], flags: Mapping[str, object]
) -> Loaded:
    """Read settings: defaults < files in order < NOVA_… environment < flags (dotted names).

    Files that do not exist are skipped. Raises Misconfigured with every problem found.
    """
    known = {knob.name: knob for knob in knobs()}
    problems: list[str] = []
    values: dict[str, object] = {}
    origins = dict.fromkeys(known, "default")
    for origin, given in [
        *((str(path), _from_file(path, known, problems)) for path in files if path.exists()),
        ("environment", _from_environment(environment, known, problems)),
        ("flag", _checked(flags, known, "flag", problems)),
    ]:
        for name, value in given.items():
            values[name] = value
            origins[name] = origin
    if problems:
        raise Misconfigured(problems)
    settings = msgspec.convert(_nested(values), Settings)
    problems += contradictions(settings)
    if problems:
        raise Misconfigured(problems)
    return Loaded(settings, origins)


def _from_file(path: Path, known: Mapping[str, Knob], problems: list[str]) -> dict[str, object]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        problems.append(f"{path}: not valid TOML: {wrong}")
        return {}
    except OSError as wrong:
        problems.append(f"{path}: cannot be read: {wrong.strerror}")
        return {}
    flat = {}
    for name, value in document.items():
        if isinstance(value, dict) and name not in known:
            flat.update({f"{name}.{inner}": each for inner, each in value.items()})
        else:
            flat[name] = value
    return _checked(flat, known, str(path), problems)


def _from_environment(
    environment: Mapping[str, str], known: Mapping[str, Knob], problems: list[str]
) -> dict[str, object]:
    by_variable = {knob.variable: knob for knob in known.values()}
    given: dict[str, object] = {}
    for variable, value in environment.items():
        text = value
        if not variable.startswith(PREFIX) or variable.startswith("NOVA_TEST_"):
            continue
        knob = by_variable.get(variable)
        if knob is None and (knob := by_variable.get(variable.removesuffix(OF_FILE))):
            text = _file_of(variable, text, problems)
        if knob is None:
            problems.append(f"{variable}: unknown variable{_variable_meant(variable, known)}")
        else:
            given[knob.name] = _parsed(knob, text)
    return _checked(given, known, "environment", problems)


def _file_of(variable: str, path: str, problems: list[str]) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as wrong:
        problems.append(f"{variable}: cannot read {path}: {wrong}")
        return ""


def _parsed(knob: Knob, text: str) -> object:
    """Turn a variable's text into what TOML would have given."""
    if text.lstrip().startswith(("[", "{")):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    if get_origin(get_args(knob.type)[0]) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _checked(
    given: Mapping[str, object], known: Mapping[str, Knob], origin: str, problems: list[str]
) -> dict[str, object]:
    right = {}
    for name, value in given.items():
        if name not in known:
            problems.append(f"{origin}: {name}: unknown setting{_setting_meant(name, known)}")
            continue
        try:
            right[name] = msgspec.convert(
                value, known[name].type, strict=not isinstance(value, str), dec_hook=_path
            )
        except msgspec.ValidationError as wrong:
            problems.append(f"{origin}: {name}: {Choices(known[name].type).named(wrong)}")
    return right


def _path(kind: type[Any], value: object) -> Path:
    if kind is Path and isinstance(value, str | Path) and str(value):
        return Path(value)
    raise ValueError("Expected the path of a folder")


def _setting_meant(name: str, known: Mapping[str, Knob]) -> str:
    found = nearest(name, known, separator=".")
    return f"; did you mean {' or '.join(found)}?" if found else f"; {LISTED}"


def _variable_meant(variable: str, known: Mapping[str, Knob]) -> str:
    """Return which variable may have been meant; `NOVA_PORT` may mean `NOVA_HTTP_PORT`."""
    variables = {
        f"{knob.name}{suffix}".lower().replace("_", ""): knob.variable + suffix
        for suffix in ("", OF_FILE)
        for knob in known.values()
    }
    name = variable.removeprefix(PREFIX).lower()
    for dotted in (name.replace("_", ".", 1), name):
        if found := nearest(dotted.replace("_", ""), variables, separator="."):
            return f"; did you mean {' or '.join(variables[each] for each in found)}?"
    return f"; {LISTED}"


def _nested(values: Mapping[str, object]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *sections, last = name.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return tree
