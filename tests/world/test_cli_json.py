"""Every verb prints one JSON object with `--json`, of one shape, whatever becomes of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nova.cli import EX_REFUSED, EX_USAGE, main, parser
from support.deployment import Deployment, deployed

WITHOUT = {"nova serve", "nova demo", "nova simulate", "nova completion"}
"""They run until they are stopped, or print a script."""

LISTS = {"nova migrate", "nova key list", "nova token check", "nova doctor"}
DONE: dict[str, list[str]] = {
    "nova init": [],
    "nova config": ["show"],
    "nova doctor": [],
    "nova migrate": [],
    "nova replay": ["--all"],
    "nova trace": ["own-like"],
    "nova rebuild": ["graph"],
    "nova token mint": ["ada"],
    "nova token check": ["{token}"],
    "nova key create": ["ci"],
    "nova key list": [],
    "nova key revoke": ["{key}"],
    "nova user create": ["--external-id", "zoe"],
    "nova user show": ["ada"],
    "nova user delete": ["cleo"],
    "nova import edges": ["{here}/edges.csv"],
    "nova vapid": [],
    "nova bench": ["graph", "--edges", "{here}/friends.txt"],
}
FIELDS: dict[str, set[str]] = {
    "nova init": {"config", "written", "secrets"},
    "nova doctor": {"healthy", "data"},
    "nova replay": {"replayed"},
    "nova rebuild": {"index", "filled", "seconds"},
    "nova token mint": {"token", "sub", "lifetime_s"},
    "nova token check": {"valid", "data"},
    "nova key revoke": {"revoked"},
    "nova user delete": {"deleted"},
    "nova import edges": {"added", "known", "refused", "already_imported"},
    "nova vapid": {"private_key", "public_key"},
}


class Printed(NamedTuple):
    status: int
    out: dict[str, Any]
    err: str


async def printed(deployment: Deployment, *words: str) -> Printed:
    """Run a verb in this process, as the command does in its own."""
    out, err = TextIOWrapper(BytesIO(), "utf-8"), TextIOWrapper(BytesIO(), "utf-8")
    with (
        pytest.MonkeyPatch.context() as environment,
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        for name, value in deployment.environment.items():
            environment.setenv(name, value)
        environment.chdir(deployment.data.parent)
        status = await asyncio.to_thread(main, [*words, "--json"])
    found = json.loads(_written(out))  # exactly one document
    assert isinstance(found, dict), found
    return Printed(status, found, _written(err))


def _written(stream: TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    async with deployed(tmp_path_factory.mktemp("running")) as deployment:
        app = await deployment.start()
        async with app.client() as client:
            for name in ("ada", "ben", "cleo"):
                await client.post("/v1/users", json={"external_id": name})
            event = {
                "id": "own-like",
                "event_type": "message",
                "recipient_id": "ada",
                "actor_id": "ada",
            }
            await client.post("/v1/events", json=event)
        here = deployment.data.parent
        (here / "edges.csv").write_text("follower,followee\nada,ben\n")
        (here / "friends.txt").write_text(
            "".join(f"{n} {n + 1}\n{n} {n + 2}\n" for n in range(200))
        )
        yield deployment


@pytest.fixture(scope="module")
async def given(running: Deployment) -> dict[str, str]:
    """Return what the words of verbs stand for."""
    return {
        "here": str(running.data.parent),
        "token": (await printed(running, "token", "mint", "ada")).out["token"],
        "key": (await printed(running, "key", "create", "spare")).out["id"],
    }


def test_every_verb_is_tried() -> None:
    assert {leaf.prog for leaf in parser().leaves()} == DONE.keys() | WITHOUT
    for leaf in parser().leaves():
        assert ("--json" in leaf.options()) is (leaf.prog not in WITHOUT), leaf.prog


@pytest.mark.parametrize("verb", DONE)
async def test_what_is_done_is_printed_as_one_object(
    running: Deployment, given: dict[str, str], verb: str
) -> None:
    words = [*verb.split()[1:], *(word.format(**given) for word in DONE[verb])]
    status, out, err = await printed(running, *words)
    assert (status, "error" in out) == (0, False), (out, err)
    assert isinstance(out.get("data", []), list)
    assert ("data" in out) is (verb in LISTS | {"nova config"})
    assert FIELDS.get(verb, out.keys()) == out.keys()


@pytest.mark.parametrize("what", ["show", "check", "doc"])
async def test_a_configuration_is_printed_as_one_object(running: Deployment, what: str) -> None:
    status, out, _ = await printed(running, "config", what)
    assert status == 0
    if what == "check":
        assert out == {"valid": True}
        return
    by_name = {each["name"]: each for each in out["data"]}
    assert by_name["smtp.security"]["choices"] == ["none", "starttls", "tls"]
    assert running.secret not in json.dumps(out)


NEVER = {"nova init", "nova config", "nova vapid", "nova migrate", "nova token mint"}
"""Of these nothing is refused where there is no Nova yet."""


@pytest.mark.parametrize("verb", sorted(DONE.keys() - NEVER - {"nova bench", "nova token check"}))
async def test_a_refusal_is_printed_as_one_object(tmp_path: Path, verb: str) -> None:
    (tmp_path / "edges.csv").write_text("ada,ben\n")
    words = {"here": tmp_path, "key": "no-id"}
    async with deployed(tmp_path) as empty:
        status, out, err = await printed(
            empty, *verb.split()[1:], *(word.format(**words) for word in DONE[verb])
        )
    assert status == EX_REFUSED
    if verb == "nova doctor":
        assert out["healthy"] is False
        return
    assert {"code", "detail"} <= out["error"].keys() <= {"code", "detail", "hint"}
    assert out["error"]["detail"] in err


@pytest.mark.parametrize("words", [["sevre"], ["user", "show"], ["bench", "x"], ["replay"]])
async def test_what_is_not_understood_is_one_object(running: Deployment, words: list[str]) -> None:
    status, out, _ = await printed(running, *words)
    assert (status, out["error"]["code"]) == (EX_USAGE, "usage")
    assert out["error"]["hint"].startswith("Run 'nova ")


async def test_all_errors_of_a_configuration_are_in_one_object(tmp_path: Path) -> None:
    async with deployed(tmp_path, NOVA_HTTP_PROT="1", NOVA_LOG_BATCH="0") as deployment:
        status, out, _ = await printed(deployment, "config", "check")
    assert (status, out["error"]["code"]) == (78, "misconfigured")
    assert len(out["error"]["problems"]) == 2
