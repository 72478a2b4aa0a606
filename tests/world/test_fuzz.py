"""Schemathesis makes requests out of the API's own description: nothing may break."""

import pytest

from support.app import App
from support.fuzz import fuzz

pytestmark = pytest.mark.fuzz


async def test_no_request_that_the_backend_can_make_breaks_the_server(app: App) -> None:
    verdict = await fuzz(app.url, app.server.server_key, examples=12, skip="^/v1/keys")
    assert verdict.clean, verdict.said[-6000:]


async def test_no_request_that_a_user_can_make_breaks_the_server(app: App) -> None:
    [ada] = await app.people(1)
    verdict = await fuzz(app.url, app.token(ada), examples=8)
    assert verdict.clean, verdict.said[-6000:]
