"""What a knob's value may be."""

from typing import Annotated

from msgspec import Meta

Port = Annotated[int, Meta(ge=0, le=65535)]
Natural = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Seconds = Annotated[float, Meta(gt=0, le=10**9)]
Secret = Annotated[str, Meta(extra={"secret": True})]
Generated = Annotated[str, Meta(extra={"secret": True, "generated": True})]
"""A secret that the first start generates, unless one is given."""


def about(sentence: str) -> Meta:
    """Return the sentence about a knob, for its annotation."""
    return Meta(description=sentence)
