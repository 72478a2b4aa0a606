"""A small API whose description and pages are examined."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from nova.kernel.text import Count, Name
from nova.web.actors import Rule
from nova.web.openapi import document
from nova.web.problems import kinds
from nova.web.routes import Call, Paged, Route
from support.echo import ROUTES


class Part(Struct):
    name: Annotated[Name, Meta(examples=["<wheel>"])]
    of: "Part | None" = None
    sizes: list[Count] = []
    more: dict[str, Any] = {}


class Filter(Struct):
    limit: Annotated[int, Meta(ge=1, le=100, description="How many, at `most`.")] = 20
    kinds: list[Name] = []


async def nothing(call: Call[Any, Any]) -> None:
    return None


PARTS = [
    Route(
        method="GET",
        path="/v1/users/{user}/parts",
        rule=Rule.SELF,
        handler=nothing,
        query=Filter,
        returns=Paged[Part],
        summary="List parts & pieces",
        description="Newest first; `<script>` is text.",
    ),
    Route(
        method="POST",
        path="/v1/parts",
        rule=Rule.SERVER,
        handler=nothing,
        body=Part,
        returns=Part,
        status=201,
        summary="Add a part",
    ),
    Route(
        method="DELETE", path="/v1/parts/{part}", rule=Rule.USER, handler=nothing, summary="Drop"
    ),
]
DOCUMENT = document([*PARTS, *ROUTES], version="1.2.3", kinds=list(kinds("nova")))
