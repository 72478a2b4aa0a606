"""Every verb, on a deployment that is stopped and beside one that runs."""

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from socket import socket

import pytest

from nova.adapters.postgres.pool import open_pool
from nova.cli import parser
from nova.ports.database import Pool
from nova.settings import knobs
from nova.web.tokens import mint
from support.app import like
from support.deployment import Deployment, deployed
from support.postgres import new_database
from support.waiting import until


@pytest.fixture
async def stopped(tmp_path: Path) -> AsyncIterator[Deployment]:
    async with deployed(tmp_path) as deployment:
        yield deployment


def test_every_verb_says_what_it_is_for() -> None:
    said = parser().format_help()
    for verb in ("serve", "demo", "init", "config", "doctor", "migrate", "token", "key", "user"):
        assert re.search(rf"^ +{verb} +\w", said, re.MULTILINE), verb


async def test_whoever_names_no_verb_is_shown_them(stopped: Deployment) -> None:
    status, said = await stopped.run()
    assert (status, "create, show or delete users" in said) == (2, True), said


async def test_a_configuration_explains_itself(stopped: Deployment) -> None:
    assert (await stopped.run("init"))[0] == 0
    status, said = await stopped.run("config", "show", "--origin")
    assert status == 0
    assert re.search(r"http\.port = 0 .*#.*environment", said)
    assert stopped.secret not in said
    assert (await stopped.run("config", "check"))[0] == 0
    status, said = await stopped.run("config", "doc")
    assert status == 0
    assert all(f"| `{knob.name}` | `{knob.variable}` |" in said for knob in knobs())
    (stopped.data.parent / "nova.toml").write_text("[http]\nprot = 1\n")
    status, said = await stopped.run("config", "check")
    assert (status, "port" in said) == (78, True)


async def test_a_token_is_minted_and_its_faults_are_named(stopped: Deployment) -> None:
    _, good = await stopped.run("token", "mint", "ada")
    assert (await stopped.run("token", "check", good.strip()))[0] == 0
    status, said = await stopped.run("token", "mint", "ada", "--lifetime=-90")
    assert (status, "a number of seconds above 0" in said) == (2, True), said
    old = mint(stopped.secret, "ada", lifetime_s=-90)
    status, said = await stopped.run("token", "check", old)
    assert status == 1
    assert "FAIL exp" in said


async def test_a_token_for_somebody_who_does_not_exist_is_minted_with_a_word(
    stopped: Deployment,
) -> None:
    await stopped.start()
    status, said = await stopped.run("token", "mint", "ada")
    assert (status, "There is no user 'ada' yet" in said) == (0, True), said
    (token,) = [line for line in said.splitlines() if not line.startswith("nova:")]
    status, said = await stopped.run("token", "check", token)
    assert (status, "FAIL user: There is no user 'ada'" in said) == (1, True), said
    assert (await stopped.run("user", "create", "--external-id", "ada"))[0] == 0
    status, said = await stopped.run("token", "mint", "ada")
    assert (status, "no user" in said) == (0, False), said


async def test_what_is_said_of_a_token_is_what_the_server_answers(stopped: Deployment) -> None:
    app = await stopped.start()

    async def answers(token: str, path: str = "/v1/users/me") -> int:
        async with app.client() as client:
            headers = {"Authorization": f"Bearer {token}"}
            return (await client.get(path, headers=headers)).status_code

    async def says(token: str) -> str:
        _, said = await stopped.run("token", "check", token)
        return next(line for line in said.splitlines() if " user: " in line)

    for name in ("ada", "suspended", "revoked", "erased"):
        assert (await stopped.run("user", "create", "--external-id", name))[0] == 0
    tokens = {
        name: mint(stopped.secret, name)
        for name in ("ada", "suspended", "revoked", "erased", "nobody")
    }
    async with app.client() as client:
        await client.patch("/v1/users/suspended", json={"suspended": True})
        await client.post("/v1/tokens/revoke", json={"token": tokens["revoked"]})
        await client.delete("/v1/users/erased")
    said = {name: await says(token) for name, token in tokens.items()}
    assert {name: await answers(token) for name, token in tokens.items()} == {
        name: 200 if line.startswith("ok ") else 401 for name, line in said.items()
    }
    assert [name for name, line in said.items() if line.startswith("ok ")] == ["ada"]
    assert "The user is suspended" in said["suspended"]
    assert "The token was revoked" in said["revoked"]
    await stopped.end()
    unknown = await says(tokens["nobody"])
    assert unknown.startswith("?    user: not looked up: the database is not running")


async def test_a_word_about_a_token_waits_for_no_database(tmp_path: Path) -> None:
    away = "postgresql://127.0.0.1:1/nova"
    async with deployed(tmp_path, NOVA_DATABASE=away) as deployment:
        status, said = await deployment.run("token", "mint", "ada")
    assert (status, len(said.splitlines())) == (0, 1), said


QUESTIONS = [
    ["trace", "like-1"],
    ["migrate", "--show"],
    ["doctor"],
    ["key", "list"],
    ["key", "create", "ci"],
    ["user", "show", "ada"],
    ["replay", "--all"],
    ["rebuild", "graph"],
    ["import", "edges", "{here}/edges.csv"],
]


@pytest.mark.parametrize("verb", QUESTIONS, ids=" ".join)
async def test_a_folder_without_nova_is_said_to_be_one_and_stays_as_it_is(
    stopped: Deployment, verb: list[str]
) -> None:
    here = stopped.data.parent
    (here / "edges.csv").write_text("follower,followee\nada,ben\n")
    status, said = await stopped.run(*(word.format(here=here) for word in verb))
    assert status == 1, said
    assert f"There is no database in {stopped.data}. Name the folder of your Nova with --data" in (
        said
    )
    assert not stopped.data.exists()


@pytest.mark.parametrize("verb", [["token", "check", "a.b.c"], ["token", "mint", "ada"]])
async def test_tokens_need_a_secret_of_the_folder(tmp_path: Path, verb: list[str]) -> None:
    async with deployed(tmp_path, NOVA_TOKENS_SECRET="") as deployment:
        status, said = await deployment.run(*verb)
    assert (status, f"There is no token secret in {deployment.data}." in said) == (1, True), said
    assert not deployment.data.exists()


async def test_an_errand_does_not_change_a_database_that_is_not_novas_yet(
    tmp_path: Path, server_dsn: str
) -> None:
    async with (
        new_database(server_dsn) as dsn,
        deployed(tmp_path, NOVA_DATABASE=dsn) as deployment,
    ):
        status, said = await deployment.run("trace", "like-1")
        assert (status, "Run 'nova migrate'" in said) == (1, True), said
        async with open_pool(dsn, size=1) as pool:
            assert await pool.value("select to_regnamespace('backbone') is null")


@pytest.mark.parametrize("running", [False, True])
async def test_people_and_keys_are_administered(stopped: Deployment, *, running: bool) -> None:
    await (stopped.start() if running else stopped.run("migrate"))
    _, minted = await stopped.run("token", "mint", "ada")
    assert ("There is no user 'ada' yet" in minted) is running  # no server is started to ask
    assert (await stopped.run("user", "create", "--external-id", "ada", "--name", "Ada"))[0] == 0
    assert "name         Ada\n" in (await stopped.run("user", "show", "ada"))[1]
    _, shown = await stopped.run("user", "show", "ada", "--json")
    assert json.loads(shown)["name"] == "Ada"
    _, created = await stopped.run("key", "create", "ci", "--json")
    key = json.loads(created)
    _, listed = await stopped.run("key", "list")
    assert key["id"] in listed
    assert key["secret"] not in listed
    assert (await stopped.run("key", "revoke", key["id"]))[0] == 0
    assert (await stopped.run("user", "delete", "ada"))[0] == 0
    status, said = await stopped.run("user", "show", "ada")
    assert (status, "Traceback" in said) == (1, False)
    for verb in (["migrate", "--show"], ["doctor", "--json"], ["replay", "--all"]):
        status, said = await stopped.run(*verb)
        assert (status, "pending" in said.replace("0 migrations pending", "")) == (0, False), said
    status, said = await stopped.run("trace", "nothing")
    assert (status, "remembered for `notifications.dedupe_days`" in said) == (1, True), said


@pytest.mark.parametrize("running", [False, True])
async def test_edges_are_imported(stopped: Deployment, *, running: bool) -> None:
    await (stopped.start() if running else stopped.run("migrate"))
    for name in ("ada", "ben"):
        assert (await stopped.run("user", "create", "--external-id", name))[0] == 0
    file = stopped.data.parent / "edges.csv"
    file.write_text("follower,followee\nada,ben\nada,zoe\n")
    status, said = await stopped.run("import", "edges", str(file))
    assert (status, "line 3: there is no user 'zoe'" in said) == (1, True), said
    assert "Edges added: 1, known before: 0, lines refused: 1." in said
    assert (
        "imported before, and was not read now"
        in (await stopped.run("import", "edges", str(file)))[1]
    )
    said = (await stopped.run("import", "edges", str(file), "--again"))[1]
    assert "Edges added: 0, known before: 1, lines refused: 1." in said
    assert (await stopped.run("import", "edges", str(file.with_name("none"))))[0] == 2
    file.write_text("ada;zoe\n" * 150)
    status, said = await stopped.run("import", "edges", str(file))
    assert (status, said.count("expected follower,followee")) == (1, 100), said
    assert said.count("150 lines, 0 edges added") == 1
    assert "50 more lines were refused." in said
    assert "whose name ends in .csv holds follower,followee" in said


async def test_an_event_that_failed_is_traced_diagnosed_and_replayed(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    await pool.run(
        "alter table notifications.inbox add constraint whole check (event_id <> 'broken')"
    )
    async with deployed(tmp_path, NOVA_DATABASE=dsn, NOVA_LOG_ATTEMPTS="1") as deployment:
        app = await deployment.start()
        ada, ben = await app.people(2)
        broken, own = like(to=ben, by=ada, id="broken"), like(to=ben, by=ben)

        async def outcome(event: str) -> object:
            status, said = await deployment.run("trace", event, "--json")
            assert status == 0, said
            return json.loads(said)["outcome"]

        async def dies() -> bool:
            return await outcome("broken") == "dead_lettered"

        await app.send(broken, own)
        await until(dies)
        assert await outcome(own["id"]) == "suppressed"
        status, said = await deployment.run("doctor")
        assert (
            status,
            "FAIL event log: waiting for another attempt: 0; dead letters: 1." in said,
        ) == (1, True), said
        await pool.run("alter table notifications.inbox drop constraint whole")
        async with app.phone(ben) as phone:
            status, said = await deployment.run("replay", "--all")
            assert (status, said.strip()) == (0, "1 dead letter will be tried again.")
            await phone.until(lambda phone: phone.rings == ["broken"])
        status, said = await deployment.run("trace", "broken")
        assert status == 0
        assert said.startswith("stored: It is number 1 in its recipient's inbox.\n")
        assert [word for word in ("accepted", "read", "decided") if word not in said] == []
        assert (await deployment.run("doctor"))[0] == 0


async def test_a_key_made_before_the_first_start_is_the_only_one(stopped: Deployment) -> None:
    """No file is written then that says otherwise."""
    assert (await stopped.run("migrate"))[0] == 0
    status, said = await stopped.run("key", "create", "mine", "--json")
    assert status == 0
    secret = json.loads(said)["secret"]
    app = await stopped.start(secret)
    async with app.client() as client:
        keys = (await client.get("/v1/keys")).json()["data"]
        refused = await client.get("/v1/keys", headers={"Authorization": f"Bearer {secret}x"})
    assert refused.status_code == 401
    assert "`nova key list` shows which count" in refused.json()["hint"]
    assert [each["name"] for each in keys] == ["mine"]
    assert not (stopped.data / "server.key").exists()


async def test_a_port_or_a_folder_in_use_is_said_plainly(stopped: Deployment) -> None:
    app = await stopped.start()
    status, said = await stopped.run("serve")
    assert (status, "Traceback" in said) == (1, False), said
    assert str(stopped.data) in said
    other = stopped.data.parent / "other"
    port = str(app.server.port)
    status, said = await stopped.run("serve", "--data", str(other), "--port", port)
    assert (status, "Traceback" in said) == (1, False), said
    assert f"127.0.0.1:{port}: Address already in use. Choose another" in said
    assert not (other / "postgres").exists()  # it was not even started


async def test_a_server_does_not_start_without_the_keys_it_was_told_to_fetch(
    tmp_path: Path, dsn: str
) -> None:
    """A socket that takes no connections has the port, so nobody else answers there."""
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/jwks.json"
        async with deployed(
            tmp_path, NOVA_DATABASE=dsn, NOVA_TOKENS_JWKS_URL=address
        ) as deployment:
            status, said = await deployment.run("serve")
    assert (status, "Traceback" in said) == (1, False), said
    assert address in said
    assert "tokens.jwks_file" in said


async def test_the_command_line_is_held_to_the_bounds_of_the_api(stopped: Deployment) -> None:
    assert (await stopped.run("migrate"))[0] == 0
    for wrong in (
        ["user", "create", "--external-id", "x" * 200],
        ["key", "create", ""],
        ["replay", "5"],
    ):
        status, said = await stopped.run(*wrong)
        assert (status, "Traceback" in said) == (1, False), wrong
    status, said = await stopped.run("config", "check", "--config", "/nope.toml")
    assert (status, "there is no such file" in said) == (78, True)


async def test_what_an_errand_logs_is_not_in_what_it_prints(tmp_path: Path) -> None:
    program = (
        "from structlog import get_logger; from nova.cli import main; main(['config', 'doc']); "
        "get_logger().info('said_in_passing'); get_logger().warning('said_aloud')"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program), cwd=tmp_path, stdout=PIPE, stderr=PIPE
    )
    printed, logged = await process.communicate()
    assert b"said" not in printed
    assert b"said_aloud" in logged
    assert b"said_in_passing" not in logged
