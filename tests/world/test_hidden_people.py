"""Nobody can tell who blocks them, by any route that names a person."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from nova.app import all_routes, built
from nova.ports.database import Pool
from nova.settings import Settings, Tokens
from nova.web.actors import Rule
from nova.web.routes import Route
from support.app import App
from support.auth_matrix import patiently
from world.test_access import ask, connected

SECRETS = Tokens(secret="s" * 32, signing_secret="t" * 32)
KINDS = ("nobody", "blocker", "suspended", "private")
BODIES: Mapping[str, Any] = {
    "POST /v1/posts/{id}/comments": {"text": "well"},
    "PATCH /v1/posts/{id}": {"text": "new"},
    "PATCH /v1/comments/{id}": {"text": "new"},
}
NAMELESS = frozenset({"tag", "name", "token", "type", "channel", "id", "mark", "device", "key"})
"""Segments that name no person. Ids of posts and comments are looked at by themselves."""


class Hidden:
    """A viewer, the people who are hidden from the viewer, and one post and comment of each."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.viewer = self.host = ""
        self.people: dict[str, str] = {}
        self.posts: dict[str, str] = {}
        self.comments: dict[str, str] = {}

    async def settle(self) -> None:
        self.viewer, self.host, *people = await self.app.people(5)
        self.people = dict(zip(KINDS[1:], people, strict=True)) | {"nobody": f"person-{uuid4()}"}
        about = await self._made(self.host, "/v1/posts", text="for all")
        self.posts["nobody"] = self.comments["nobody"] = str(UUID(int=uuid4().int))
        for kind in KINDS[1:]:
            who = self.people[kind]
            self.posts[kind] = await self._made(who, "/v1/posts", text="mine")
            said = await self._made(who, f"/v1/posts/{about}/comments", text="said")
            self.comments[kind] = said
        del self.comments["private"]  # what it says elsewhere is for all who see the post
        self.about = about
        blocker, private = self.people["blocker"], self.people["private"]
        async with self.app.client(blocker) as client:
            assert (await client.put(f"/v1/users/me/blocks/{self.viewer}")).is_success
        async with self.app.client(private) as client:
            answer = await client.put("/v1/users/me/privacy", json={"private": True})
            assert answer.is_success
        async with self.app.client() as client:
            path = f"/v1/users/{self.people['suspended']}"
            assert (await client.patch(path, json={"suspended": True})).is_success

    async def _made(self, who: str, path: str, **json: Any) -> str:
        async with self.app.client(who) as client:
            answer = await client.post(path, json=json)
        assert answer.is_success, answer.text
        return str(answer.json()["id"])


def told(answer: httpx.Response) -> tuple[int, Mapping[str, str], Mapping[str, Any]]:
    """Return everything that an answer says, but for what differs between any two answers."""
    headers = {
        name: text for name, text in answer.headers.items() if name not in {"date", "x-trace-id"}
    }
    body = answer.json() if answer.content else {}
    return answer.status_code, headers, {k: v for k, v in body.items() if k != "trace_id"}


async def differing(
    client: httpx.AsyncClient, method: str, paths: Mapping[str, str], **more: Any
) -> list[str]:
    """Return how the answers to paths differ from the one about nobody, in words."""
    answers = {kind: await patiently(client, method, path, **more) for kind, path in paths.items()}
    nobody = told(answers["nobody"])
    assert nobody[0] in {403, 404}, (method, paths["nobody"], nobody)
    return [
        f"{method} {paths[kind]} ({kind}): {told(answer)}, not {nobody}"
        for kind, answer in answers.items()
        if told(answer) != nobody
    ]


@pytest.fixture
async def routes(pool: Pool) -> Sequence[Route]:
    async with built(Settings(tokens=SECRETS), pool) as house:
        return [route for route in all_routes(house) if route.rule is not Rule.SERVER]


def of_things(route: Route) -> str:
    """Return what `{id}` names, where that is a person's: a post, a comment or nothing."""
    found = re.match(r"/v1/(posts|comments)/{id}", route.path)
    return found[1] if found else ""


def test_every_segment_is_known_to_name_somebody_or_nobody(routes: Sequence[Route]) -> None:
    segments = {each for route in routes for each in re.findall(r"{(\w+)}", route.path)}
    assert segments <= NAMELESS | {"user", "other"}


async def test_no_route_tells_a_block_from_nobody(app: App, routes: Sequence[Route]) -> None:
    here = Hidden(app)
    await here.settle()
    wrong, asked = [], set[str]()
    async with app.client(here.viewer) as client:
        for route in routes:
            names = set(re.findall(r"{(\w+)}", route.path))
            for name in names & {"user", "other"}:
                kinds = KINDS if name in route.looks_into else KINDS[:3]
                paths = {}
                for kind in kinds:
                    path = route.path.replace(f"{{{name}}}", here.people[kind])
                    path = path.replace("{user}", "me").replace("{other}", here.host)
                    paths[kind] = re.sub(r"{\w+}", str(UUID(int=1)), path)
                wrong += await differing(client, route.method, paths, json={})
                asked.add(f"{route.method} {route.path}")
            if things := of_things(route):
                ids = here.posts if things == "posts" else here.comments
                paths = {kind: route.path.replace("{id}", id_) for kind, id_ in ids.items()}
                json = BODIES.get(f"{route.method} {route.path}")
                wrong += await differing(client, route.method, paths, json=json)
                asked.add(f"{route.method} {route.path}")
            if "user" in getattr(route.query, "__struct_fields__", ()):
                where = re.sub(r"{\w+}", str(UUID(int=1)), route.path.replace("{user}", "me"))
                paths = {kind: f"{where}?user={here.people[kind]}" for kind in KINDS}
                json = BODIES.get(f"{route.method} {route.path}")
                if route.body is not msgspec.UNSET and json is None:
                    json = {"text": "x"} if "posts" in route.path else {"mark": "read", "all": True}
                wrong += await differing(client, route.method, paths, json=json)
                asked.add(f"{route.method} {route.path}")
        replies = []
        for kind, comment in here.comments.items():
            answer = await client.post(
                f"/v1/posts/{here.about}/comments", json={"text": "so", "reply_to": comment}
            )
            replies.append((kind, told(answer)))
    assert wrong == []
    assert len({str(answer) for _, answer in replies}) == 1, replies
    assert {"GET /v1/users/{user}/followers", "GET /v1/users/{user}/relation/{other}"} <= asked


async def test_what_one_did_to_a_hidden_post_is_taken_back_as_if_it_was_never_there(
    app: App,
) -> None:
    here = Hidden(app)
    viewer, author = await app.people(2)
    post = await here._made(author, "/v1/posts", text="for all")
    comment = await here._made(viewer, f"/v1/posts/{post}/comments", text="mine")
    nobodys = str(UUID(int=uuid4().int))
    async with app.client(viewer) as client, app.client(author) as authors:
        assert (await client.put(f"/v1/posts/{post}/like")).is_success
        assert (await authors.put(f"/v1/users/me/blocks/{viewer}")).is_success
        for path, id_ in (("/v1/posts/{}/like", post), ("/v1/comments/{}", comment)):
            of_nobody = told(await client.delete(path.format(nobodys)))
            assert of_nobody[0] == httpx.codes.NOT_FOUND
            for _ in range(2):
                assert told(await client.delete(path.format(id_))) == of_nobody
        left = (await authors.get(f"/v1/posts/{post}")).json()
    async with app.client() as backend:
        seen = (await backend.get(f"/v1/posts/{post}")).json()
    assert (left["likes"], left["comments"]) == (seen["likes"], seen["comments"]) == (0, 0)


async def test_no_list_shows_who_is_hidden(app: App) -> None:
    here = Hidden(app)
    await here.settle()
    async with app.client(here.viewer) as client:
        comments = (await client.get(f"/v1/posts/{here.about}/comments")).json()["data"]
        post = (await client.get(f"/v1/posts/{here.about}")).json()
        said = {each["author"]["external_id"] for each in comments}
    assert said == {here.people["private"]}
    assert post["comments"] == 2, "a block leaves the count as if the comment were not there"


async def test_who_blocks_does_not_learn_that_they_are_blocked_back(app: App) -> None:
    ada, ben, cleo = await app.people(3)
    async with app.client(ben) as client:
        await client.put(f"/v1/users/me/blocks/{ada}")
    async with app.client() as client:  # a person can only block whom they can see
        for other in (ben, cleo):
            assert (await client.put(f"/v1/users/{ada}/blocks/{other}")).is_success
    async with app.client(ada) as client:
        for method, path in (
            ("GET", "me/relation/{other}"),
            ("PUT", "me/following/{other}"),
            ("PUT", "me/blocks/{other}"),
            ("GET", "{other}/followers"),
            ("GET", "{other}/posts"),
            ("DELETE", "me/blocks/{other}"),
        ):
            answers = [
                told(await client.request(method, "/v1/users/" + path.format(other=other)))
                for other in (ben, cleo)
            ]
            assert answers[0] == answers[1], (method, path)


async def test_who_is_muted_and_blocks_leaves_the_list_of_mutes(app: App) -> None:
    ada, ben, cleo = await app.people(3)
    async with app.client(ada) as client:
        for other in (ben, cleo):
            assert (await client.put(f"/v1/users/me/mutes/{other}", json={})).is_success
        async with app.client(ben) as bens:
            assert (await bens.put(f"/v1/users/me/blocks/{ada}")).is_success
        mutes = (await client.get("/v1/users/me/mutes")).json()["data"]
    assert [each["person"]["external_id"] for each in mutes] == [cleo]


@pytest.mark.parametrize("command", ["subscribe", "history", "presence", "presence_stats"])
@pytest.mark.parametrize("family", ["user", "feed"])
async def test_no_command_tells_a_block_from_nobody(app: App, command: str, family: str) -> None:
    here = Hidden(app)
    await here.settle()
    replies = []
    async with app.client() as client, await connected(app, app.token(here.viewer)) as socket:
        for kind, who in here.people.items():
            id_ = str(uuid4())
            if kind != "nobody":
                id_ = (await client.get(f"/v1/users/{who}")).json()["id"]
            channels = [f"{family}:{id_}", f"{family}:{who}"]
            replies += [await ask(socket, {command: {"channel": each}}) for each in channels]
    assert all("error" in reply for reply in replies)
    assert len({msgspec.json.encode(reply) for reply in replies}) == 1, replies
