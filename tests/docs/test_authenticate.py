"""The guide's Python signs tokens that Nova takes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nova.kernel.clock import SystemClock
from nova.web.jwks import InlineKeys
from nova.web.tokens import Tokens

GUIDE = Path(__file__).parents[2] / "docs/how-to/authenticate.md"


@pytest.fixture
def snippets() -> dict[str, Any]:
    """Run the guide's Python from top to bottom; return what it defined."""
    names: dict[str, Any] = {}
    for snippet in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL):
        exec(snippet, names)  # noqa: S102  # our own guide
    return names


async def test_the_guide_signs_with_the_shared_secret(snippets: dict[str, Any]) -> None:
    secret = "a shared secret of thirty-two chars"
    token = snippets["token_for"]("ada", secret)
    tokens = Tokens(clock=SystemClock(), secret=secret)
    assert (await tokens.user(token)).claims.sub == "ada"


async def test_the_guide_signs_with_a_key_of_its_own(snippets: dict[str, Any]) -> None:
    tokens = Tokens(
        clock=SystemClock(),
        keys=InlineKeys(json.dumps(snippets["public"])),
        audience="nova",
        issuer="https://id.example.com/",
    )
    assert (await tokens.user(snippets["signed_for"]("ada"))).claims.sub == "ada"
