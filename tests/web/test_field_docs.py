"""Docstrings of fields become descriptions of properties."""

from typing import Annotated, Generic, TypeVar

import msgspec
import pytest
from msgspec import Meta, Struct

from nova.web.field_docs import EqualNames, describe, field_docs

T = TypeVar("T")


class Animal(Struct):
    """An animal."""

    name: str
    """How it is
    called."""
    legs: int = 4


class Bird(Animal, rename="camel"):
    wing_span: Annotated[float, Meta(ge=0)] = 0.0
    """In metres."""


class Cage(Struct, Generic[T]):
    inside: list[T]
    """Who lives there."""
    more: "Cage[T] | None" = None


def test_docstrings_are_those_of_the_fields_own_and_inherited() -> None:
    assert field_docs(Bird) == {"name": "How it is called.", "wing_span": "In metres."}


def test_every_type_below_the_given_ones_is_described() -> None:
    kinds = [Cage[Bird]]
    _, components = msgspec.json.schema_components(kinds)
    describe(components, kinds)
    bird = components["Bird"]["properties"]
    assert bird["wingSpan"]["description"] == "In metres."
    assert "description" not in bird["legs"]
    assert components["Cage_Bird_"]["properties"]["inside"]["description"] == "Who lives there."


def test_two_types_of_one_name_are_refused() -> None:
    other = msgspec.defstruct("Bird", [("beak", str)], module="elsewhere")
    kinds = [Bird, other]
    _, components = msgspec.json.schema_components(kinds)
    with pytest.raises(EqualNames, match="Bird"):
        describe(components, kinds)
