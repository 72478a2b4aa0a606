"""A refused choice names those that there are."""

from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from nova.kernel.choices import Choices
from nova.kernel.text import spelled


class Tea(Enum):
    GREEN = "green"
    BLACK = "black"


class Pot(Struct, tag="pot"):
    tea: Tea
    size: Literal["small", "large"] = "small"


class Bag(Struct, tag="bag"):
    holds: Tea | None = None


class Order(Struct, rename="camel"):
    pots: list[Pot] = []
    by_name: dict[str, Tea] = {}
    by_tea: dict[Tea, int] = {}
    either: Pot | Bag | None = None
    cups: Literal[1, 2] | None = None
    note: str = ""
    at: Annotated[str, spelled(r"\A\d\d:\d\d\Z", "a time such as 22:00")] | None = None
    by_spoon: dict[
        Annotated[str, Meta(max_length=9), spelled("^[a-z]+$", "small letters")], int
    ] = {}


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (
            {"pots": [{"type": "pot", "tea": "red"}]},
            "Invalid enum value 'red'; expected one of: green, black - at `$.pots[0].tea`",
        ),
        (
            {"pots": [{"type": "pot", "tea": "green", "size": "odd"}]},
            "Invalid enum value 'odd'; expected one of: large, small - at `$.pots[0].size`",
        ),
        (
            {"byName": {"ada": "red"}},
            "Invalid enum value 'red'; expected one of: green, black - at `$.byName[...]`",
        ),
        (
            {"byTea": {"red": 1}},
            "Invalid enum value 'red'; expected one of: green, black - at `key` in `$.byTea`",
        ),
        (
            {"either": {"type": "bag", "holds": "red"}},
            "Invalid enum value 'red'; expected one of: green, black - at `$.either.holds`",
        ),
        ({"cups": 3}, "Invalid enum value 3; expected one of: 1, 2 - at `$.cups`"),
        ({"at": "noon"}, "Expected a time such as 22:00 - at `$.at`"),
        ({"bySpoon": {"A": 1}}, "Expected small letters - at `key` in `$.bySpoon`"),
        ({"note": 3}, "Expected `str`, got `int` - at `$.note`"),
    ],
)
def test_an_error_names_the_choices(order: dict[str, Any], says: str) -> None:
    with pytest.raises(msgspec.ValidationError) as wrong:
        msgspec.convert(order, Order)
    assert Choices(Order).named(wrong.value) == says


def test_a_choice_alone_is_named_too() -> None:
    with pytest.raises(msgspec.ValidationError) as wrong:
        msgspec.convert("red", Tea)
    assert (
        Choices(Tea).named(wrong.value) == "Invalid enum value 'red'; expected one of: green, black"
    )
