"""Facts keep their names and shapes: what was written to a log once is decoded for ever.

A record of the log names its fact by topic and name. Each fact's shape is recorded in `facts/`; a
fact may get further fields that have a default, and nothing else. A new fact is recorded with
`python tests/house/test_facts.py`. What changes otherwise is another fact, with another name.
"""

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from msgspec import Struct

import nova
from nova.kernel.events import Fact

Shape = Mapping[str, Mapping[str, Any]]
"""By struct (the fact itself is without a name) and field."""
FOLDER = Path(__file__).with_name("facts")
EVENTS = sorted(Path(nova.__file__).parent.glob("features/*/events.py"))


def _all(kind: type[Fact]) -> list[type[Fact]]:
    found = [each for sub in kind.__subclasses__() for each in (sub, *_all(sub))]
    return [each for each in found if each.__module__.startswith("nova.")]


def facts() -> dict[str, type[Fact]]:
    """Return every fact that features emit, by topic and name."""
    for path in EVENTS:
        importlib.import_module(f"nova.features.{path.parent.name}.events")
    kinds = [each for each in _all(Fact) if not each.__name__.startswith("_")]
    found = {each.__name__: each for each in kinds}
    assert len(found) == len(set(kinds)), "two facts have one name"
    return {f"{each.topic}.{name}": each for name, each in found.items()}


def shape(kind: type[Any]) -> Shape:
    """Return the fields of a struct and of all structs in it, as they are written."""
    found: dict[str, Mapping[str, Any]] = {}
    waiting = [kind]
    while waiting:
        struct = waiting.pop()
        fields = msgspec.structs.fields(struct)
        found["" if struct is kind else struct.__name__] = {
            each.encode_name: {"type": _named(each.type), "required": each.required}
            for each in fields
        }
        inner = {each for field in fields for each in _structs(field.type)}
        waiting += [each for each in inner if each.__name__ not in found and each is not kind]
    return found


def _structs(kind: Any) -> Iterator[type[Any]]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for each in get_args(kind):
        yield from _structs(each)


def _named(kind: Any) -> str:
    """Return a type as text, without the modules that its parts are in today."""
    text = kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)
    return re.sub(r"[a-z_]+(\.[a-z_]+)*\.(?=[A-Z])", "", text)


def broken(old: Shape, new: Shape) -> list[str]:
    """Return what records of the old shape have, or lack, so that the new one does not read it."""
    found = [name for name in old if name not in new]
    for name in old.keys() & new.keys():
        before, after = old[name], new[name]
        kinds = {field: each["type"] for field, each in after.items()}
        found += [f"{name}.{each}" for each in before if before[each]["type"] != kinds.get(each)]
        found += [
            f"{name}.{field}"
            for field, each in after.items()
            if each["required"] and not before.get(field, {}).get("required")
        ]
    return found


def recorded() -> dict[str, Shape]:
    return {path.stem: msgspec.json.decode(path.read_bytes()) for path in FOLDER.glob("*.json")}


def test_every_fact_has_the_shape_that_was_recorded() -> None:
    now, before = {name: shape(kind) for name, kind in facts().items()}, recorded()
    assert now.keys() == before.keys(), f"record a new fact, keep an old one: {__doc__}"
    assert {name: found for name in now if (found := broken(before[name], now[name]))} == {}
    assert now == before, "its shape only grew: record it anew"


class Inner(Struct):
    x: int


class Thing(Struct):
    a: int
    b: Sequence[Inner] = ()


class Grown(Struct):
    a: int
    b: Sequence[Inner] = ()
    c: int = 0


class Retyped(Struct):
    a: str
    b: Sequence[Inner] = ()


class Shrunk(Struct):
    a: int


class Strict(Struct):
    a: int
    b: Sequence[Inner]


class Demanding(Struct):
    c: int
    a: int
    b: Sequence[Inner] = ()


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (Grown, []),
        (Retyped, [".a"]),
        (Shrunk, ["Inner", ".b"]),
        (Strict, [".b"]),
        (Demanding, [".c"]),
    ],
)
def test_a_shape_that_old_records_do_not_have_is_found(kind: type[Any], found: list[str]) -> None:
    assert broken(shape(Thing), shape(kind)) == found


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, kind in facts().items():
        text = msgspec.json.format(msgspec.json.encode(shape(kind), order="sorted"), indent=1)
        (FOLDER / f"{name}.json").write_bytes(text + b"\n")
