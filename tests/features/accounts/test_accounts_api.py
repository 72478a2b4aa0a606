"""Users, devices, keys and tokens over HTTP, on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from structlog.testing import capture_logs

from nova.adapters.postgres.pool import PostgresPool
from nova.backbone.database import Tx
from nova.feature import Feature
from nova.kernel.ids import new_id
from nova.web.actors import Rule
from nova.web.tokens import mint
from support.accounts import SECRET, Process
from support.delivered import BROWSER, apns
from support.http import bearer

Headers = dict[str, str]


class Diary:
    """Another feature, which holds a line about each user."""

    def __init__(self) -> None:
        self.erased: list[UUID] = []
        self.fails = False
        self.feature = Feature(name="diary", erase=self.erase, export=self.export)

    async def erase(self, tx: Tx, user: UUID) -> None:
        await tx.run("select 1")
        if self.fails:
            raise RuntimeError("the diary burns")
        self.erased.append(user)

    async def export(self, user: UUID) -> dict[str, str]:
        return {"line": f"about {user}"}


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
async def process(pool: PostgresPool, diary: Diary) -> Process:
    process = Process(pool, features=[diary.feature])
    await process.start()
    return process


@pytest.fixture
async def client(process: Process) -> AsyncIterator[httpx.AsyncClient]:
    async with process.client() as client:
        yield client


@pytest.fixture
async def server(process: Process) -> Headers:
    return await process.server()


def as_user(name: str) -> Headers:
    return bearer(mint(SECRET, name))


async def facts(process: Process) -> list[str]:
    rows = await process.db.fetch("select type from backbone.event_log order by position")
    return [row["type"] for row in rows]


async def made(client: httpx.AsyncClient, server: Headers, **user: Any) -> dict[str, Any]:
    answer = await client.post("/v1/users", json=user, headers=server)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def test_a_user_is_created_read_and_changed_by_either_id(
    client: httpx.AsyncClient, server: Headers, process: Process
) -> None:
    ada = await made(
        client,
        server,
        external_id="ada",
        name="Ada",
        locale="EN_gb",
        timezone="Europe/London",
        profile={"badge": [1]},
        avatar_url="https://pictures.example/ada",
    )
    assert (ada["locale"], ada["timezone"], ada["profile"]) == (
        "en-GB",
        "Europe/London",
        {"badge": [1]},
    )
    for name in ("ada", ada["id"]):
        assert (await client.get(f"/v1/users/{name}", headers=server)).json() == ada
    change = {"name": None, "timezone": "Asia/Tokyo"}
    changed = (await client.patch("/v1/users/me", json=change, headers=as_user("ada"))).json()
    assert (changed["name"], changed["timezone"], changed["locale"]) == ("", "Asia/Tokyo", "en-GB")
    assert (await client.get("/v1/users/me", headers=as_user("ada"))).json() == changed
    assert await facts(process) == ["UserCreated", "UserChanged"]


async def test_defaults_need_nothing_said(client: httpx.AsyncClient, server: Headers) -> None:
    user = await made(client, server)
    assert (user["external_id"], user["name"], user["avatar_url"]) == (None, "", None)
    assert (user["locale"], user["timezone"], user["profile"]) == ("en", "UTC", {})


BAD_FIELDS = [
    {"external_id": ""},
    {"external_id": "x" * 129},
    {"external_id": "a\x00b"},
    {"external_id": "me"},
    {"external_id": 7},
    {"name": "x" * 129},
    {"name": "line\r\nBcc: all"},
    {"locale": "no such thing"},
    {"timezone": "Mars/Olympus"},
    {"timezone": "../../etc/passwd"},
    {"avatar_url": "javascript:alert(1)"},
    {"avatar_url": "https://"},
    {"profile": []},
    {"profile": {"a": "x" * 9000}},
    {"profile": {"a": [[[[[[[[1]]]]]]]]}},
    {"profile": {"a": "\x00"}},
    {"surprise": 1},
]


@pytest.mark.parametrize("fields", BAD_FIELDS, ids=lambda fields: str(fields)[:40])
async def test_bad_fields_are_told_and_nothing_is_stored(
    client: httpx.AsyncClient, server: Headers, process: Process, fields: dict[str, Any]
) -> None:
    answer = await client.post("/v1/users", json=fields, headers=server)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert await process.db.value("select count(*) from accounts.users") == 0


@pytest.mark.parametrize(
    "body", [b'{"profile": {"a": 1e999}}', b'{"profile":' + b'{"a":' * 5000, b'{"name": "\\ud800"}']
)
async def test_json_beyond_bounds_is_refused(
    client: httpx.AsyncClient, server: Headers, body: bytes
) -> None:
    headers = {**server, "content-type": "application/json"}
    answer = await client.post("/v1/users", content=body, headers=headers)
    assert 400 <= answer.status_code < 500, answer.text


async def test_an_external_id_belongs_to_one_user(
    client: httpx.AsyncClient, server: Headers
) -> None:
    ada = await made(client, server, external_id="ada")
    await made(client, server, external_id="ben")
    again = await client.post("/v1/users", json={"external_id": "ada"}, headers=server)
    assert (again.status_code, again.json()["code"]) == (409, "external_id_taken")
    path = f"/v1/users/{ada['id']}"
    taken = await client.patch(path, json={"external_id": "ben"}, headers=server)
    assert (taken.status_code, taken.json()["code"]) == (409, "external_id_taken")
    freed = await client.patch(path, json={"external_id": None}, headers=server)
    assert freed.json()["external_id"] is None
    assert (await client.get("/v1/users/ada", headers=server)).status_code == 404
    await made(client, server, external_id="ada")


async def test_bulk_creates_updates_and_refuses_item_by_item(
    client: httpx.AsyncClient, server: Headers, process: Process
) -> None:
    await made(client, server, external_id="old", name="Old", locale="fr")
    await made(client, server, external_id="same", name="Same")
    users = [
        {"external_id": "new", "name": "New"},
        {"external_id": "old", "name": "Changed"},
        {"external_id": "bad", "timezone": "Nowhere"},
        {"external_id": "same", "name": "Same"},
        {"external_id": "new", "name": "Twice"},
    ]
    answer = await client.post("/v1/users/bulk", json={"users": users}, headers=server)
    results = answer.json()["results"]
    assert [each["status"] for each in results] == [
        "created",
        "updated",
        "refused",
        "unchanged",
        "refused",
    ]
    assert [each["problem"]["code"] for each in results if "problem" in each] == [
        "invalid_field",
        "given_twice",
    ]
    old = (await client.get("/v1/users/old", headers=server)).json()
    assert (old["id"], old["name"], old["locale"]) == (results[1]["id"], "Changed", "fr")
    assert await facts(process) == ["UserCreated", "UserCreated", "UserCreated", "UserChanged"]


BAD_ROWS: dict[str, str | bytes] = {
    "name": '{"external_id": "bad", "name": 7}',
    "name that is too long": '{"external_id": "bad", "name": "%s"}' % ("x" * 129),
    "avatar": '{"external_id": "bad", "avatar_url": "javascript:alert(1)"}',
    "mail": '{"external_id": "bad", "email": "no address"}',
    "time zone": '{"external_id": "bad", "timezone": "Nowhere"}',
    "locale": '{"external_id": "bad", "locale": "no language"}',
    "profile": '{"external_id": "bad", "profile": []}',
    "unknown member": '{"external_id": "bad", "nick": "x"}',
    "NUL": '{"external_id": "bad", "name": "a\\u0000b"}',
    "half a pair": '{"external_id": "bad", "name": "\\ud83d"}',
    "another half": '{"external_id": "bad", "name": "\\\\\\udc00\\ud83d\\ude00"}',
    "no UTF-8": b'{"external_id": "bad", "name": "Andr\xe9"}',
    "a surrogate in UTF-8": b'{"external_id": "bad", "name": "\xed\xa0\x80"}',
    "depth": f'{{"external_id": "bad", "profile": {{"a": {"[" * 3_000}"]"{"]" * 3_000}}}}}',
    "external id": '{"external_id": ""}',
    "no external id": "{}",
    "no object": '"bad"',
    "null": "null",
}


@pytest.mark.parametrize("row", BAD_ROWS.values(), ids=BAD_ROWS)
async def test_one_bad_row_refuses_itself_alone(
    client: httpx.AsyncClient, server: Headers, process: Process, row: str | bytes
) -> None:
    await one_bad(client, server, process, row)


@pytest.mark.parametrize("what", ["half a pair", "no UTF-8", "depth", "NUL"])
async def test_one_bad_row_of_a_large_batch_refuses_itself_alone(
    client: httpx.AsyncClient, server: Headers, process: Process, what: str
) -> None:
    padding = f', "profile": {{"about": "{"a" * 7_000}"}}'  # more than a turn of the loop reads
    await one_bad(client, server, process, BAD_ROWS[what], padding)


async def one_bad(
    client: httpx.AsyncClient, server: Headers, process: Process, row: str | bytes, more: str = ""
) -> None:
    """Send a thousand rows of which the one in the middle is bad."""
    row = row if isinstance(row, str) else row.decode(errors="surrogateescape")
    rows = [f'{{"external_id": "u{number}"{more}}}' for number in range(999)]
    text = f'{{"users": [{",".join([*rows[:500], row, *rows[500:]])}]}}'
    body = text.encode(errors="surrogateescape")
    headers = {**server, "content-type": "application/json"}
    answer = await client.post("/v1/users/bulk", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [each["index"] for each in results] == list(range(1_000))
    [bad] = [each for each in results if each["status"] == "refused"]
    assert bad["index"] == 500
    assert bad["external_id"] == ("bad" if '"external_id": "bad"' in row else bad["external_id"])
    assert "error" not in bad
    assert bad["problem"]["status"] in {400, 422}
    assert bad["problem"]["detail"]
    assert await process.db.value("select count(*) from accounts.users") == 999


@pytest.mark.parametrize(
    "body", ['{"users": []}', '{"users": 7}', "{}", '{"users": [{}], "more": 1}', '{"users": [{}']
)
async def test_a_body_that_is_no_batch_is_refused_as_a_whole(
    client: httpx.AsyncClient, server: Headers, body: str
) -> None:
    headers = {**server, "content-type": "application/json"}
    answer = await client.post("/v1/users/bulk", content=body, headers=headers)
    assert answer.status_code in {400, 422}


async def test_bulk_takes_a_thousand_and_no_more(
    client: httpx.AsyncClient, server: Headers, process: Process
) -> None:
    users = [{"external_id": f"u{number}"} for number in range(1001)]
    answer = await client.post("/v1/users/bulk", json={"users": users[:1000]}, headers=server)
    assert {each["status"] for each in answer.json()["results"]} == {"created"}
    assert await process.db.value("select count(*) from accounts.users") == 1000
    answer = await client.post("/v1/users/bulk", json={"users": users}, headers=server)
    assert answer.status_code == 422


async def test_upserts_of_the_same_users_in_any_order_at_once_do_not_lock_each_other_out(
    client: httpx.AsyncClient, server: Headers, process: Process
) -> None:
    names = [f"u{number:03}" for number in range(200)]

    async def sync(turn: int) -> list[dict[str, Any]]:
        order = names[:: -1 if turn % 2 else 1]
        users = [{"external_id": name, "name": f"turn {turn}"} for name in order]
        answer = await client.post("/v1/users/bulk", json={"users": users}, headers=server)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    turns = await asyncio.gather(*(sync(turn) for turn in range(6)))
    created = [each for results in turns for each in results if each["status"] == "created"]
    assert len(created) == 200
    assert len({(each["external_id"], each["id"]) for turn in turns for each in turn}) == 200
    rows = await process.db.fetch("select name from accounts.users group by name")
    assert len(rows) == 1


async def test_the_list_of_users_is_paged_to_its_end(
    client: httpx.AsyncClient, server: Headers
) -> None:
    ids = [(await made(client, server, external_id=f"u{number}"))["id"] for number in range(5)]
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = (await client.get("/v1/users", params=params, headers=server)).json()
        seen += [user["id"] for user in page["data"]]
        if page.get("next_cursor") is None:
            break
        params["cursor"] = page["next_cursor"]
    assert seen == ids
    for bad in ({"cursor": "garbage"}, {"limit": 0}, {"limit": -1}, {"limit": 10**9}):
        answer = await client.get("/v1/users", params=bad, headers=server)
        assert answer.status_code in {400, 422}


async def test_people_are_found_by_the_beginning_of_what_is_known_of_them(
    client: httpx.AsyncClient, server: Headers
) -> None:
    ada = await made(
        client, server, external_id="user-1815", name="Ada Lovelace", email="Ada@Example.org"
    )
    ben = await made(client, server, external_id="User-1843", name="ben")
    nobody = await made(client, server, external_id="100%")

    async def found(search: str, **more: Any) -> list[str]:
        params = {"search": search, **more}
        answer = await client.get("/v1/users", params=params, headers=server)
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["data"]]

    for search in ("ada", "ADA L", "love", "ada@EX", " ada ", ada["id"]):
        assert await found(search) == [ada["id"]], search
    assert await found("user-18") == [ada["id"], ben["id"]]
    assert len(await found("user-18", limit=1)) == 1
    assert await found("100%") == [nobody["id"]]
    for search in ("elace", "%", "_", "a_a", "ada\\", "\U0010ffff"):
        assert await found(search) == [], search
    for bad in ({"search": "ada", "cursor": "x"}, {"search": "x" * 129}, {"search": "a\0"}):
        answer = await client.get("/v1/users", params=bad, headers=server)
        assert answer.status_code in {400, 422}


async def test_the_newest_people_come_first_when_asked_for(
    client: httpx.AsyncClient, server: Headers
) -> None:
    ids = [(await made(client, server, external_id=f"u{number}"))["id"] for number in range(3)]
    params: dict[str, Any] = {"order": "newest", "limit": 2}
    page = (await client.get("/v1/users", params=params, headers=server)).json()
    cursor = {"cursor": page["next_cursor"]}
    rest = (await client.get("/v1/users", params=params | cursor, headers=server)).json()
    assert [each["id"] for each in page["data"] + rest["data"]] == ids[::-1]
    assert rest.get("next_cursor") is None
    assert (await client.get("/v1/users", params=cursor, headers=server)).status_code == 400


async def test_only_the_server_renames_and_suspends(
    client: httpx.AsyncClient, server: Headers
) -> None:
    await made(client, server, external_id="ada")
    for change in ({"external_id": "root"}, {"suspended": True}, {"suspended": False}):
        answer = await client.patch("/v1/users/me", json=change, headers=as_user("ada"))
        assert answer.status_code == 403
    suspended = await client.patch("/v1/users/ada", json={"suspended": True}, headers=server)
    assert suspended.json()["suspended"] is True


TOKEN = "6F8A" * 16
IOS = {"platform": "ios", "token": TOKEN, "app": "shop", "locale": "pt_br"}
WEB = {
    "platform": "web",
    "subscription": {
        "endpoint": "https://push.example/abc",
        "expirationTime": None,
        "keys": {"p256dh": BROWSER.p256dh, "auth": BROWSER.auth},
    },
}


async def test_devices_are_registered_once_listed_and_forgotten(
    client: httpx.AsyncClient, server: Headers
) -> None:
    await made(client, server, external_id="ada")
    path, ada = "/v1/users/me/devices", as_user("ada")
    phone = (await client.put(path, json=IOS, headers=ada)).json()
    assert (phone["token"], phone["locale"]) == (TOKEN.lower(), "pt-BR")
    browser = (await client.put(path, json=WEB, headers=ada)).json()
    assert browser["token"] == "https://push.example/abc"
    assert (await client.put(path, json=IOS, headers=ada)).json()["id"] == phone["id"]
    listed = (await client.get(path, headers=ada)).json()["data"]
    assert [each["id"] for each in listed] == [phone["id"], browser["id"]]
    assert (await client.delete(f"{path}/{phone['id']}", headers=ada)).status_code == 204
    assert (await client.delete(f"{path}/{phone['id']}", headers=ada)).status_code == 404
    assert (await client.delete(f"{path}/none", headers=ada)).status_code == 404


async def test_a_device_is_answered_with_all_that_was_given(
    client: httpx.AsyncClient, server: Headers
) -> None:
    await made(client, server, external_id="ada")
    path = "/v1/users/ada/devices"
    given = {**IOS, "topic": "com.example.app", "environment": "sandbox", "app": "chat"}
    answers = [(await client.put(path, json=given, headers=server)).json()]
    own = f"{path}/{answers[0]['id']}"
    answers.append((await client.put(own, json=given, headers=server)).json())
    answers += (await client.get(path, headers=server)).json()["data"]
    for answer in answers:
        assert given.keys() <= answer.keys()
        assert {name: answer[name] for name in given} == given | {
            "token": TOKEN.lower(),
            "locale": "pt-BR",
        }


async def test_nobody_is_the_same_refusal_wherever_a_user_is_named(
    client: httpx.AsyncClient, server: Headers
) -> None:
    user = "/v1/users/nobody"
    answers = [
        await client.get(user, headers=server),
        await client.patch(user, json={"name": "N"}, headers=server),
        await client.delete(user, headers=server),
        await client.get(f"{user}/export", headers=server),
        await client.get(f"{user}/devices", headers=server),
        await client.put(f"{user}/devices", json=IOS, headers=server),
        await client.delete(f"{user}/devices/{uuid4()}", headers=server),
        await client.post("/v1/tokens", json={"user": "nobody"}, headers=server),
        await client.post("/v1/tokens/revoke", json={"user": "nobody"}, headers=server),
    ]
    said = {
        (answer.status_code, each["code"], each["title"], each["detail"], each["hint"])
        for answer in answers
        if (each := answer.json())
    }
    assert said == {(404, "no_such_user", *["There is no such user."] * 2, None)}


async def test_a_token_moves_to_whoever_registered_it_last(
    client: httpx.AsyncClient, server: Headers
) -> None:
    path = "/v1/users/me/devices"
    for name in ("ada", "ben"):
        await made(client, server, external_id=name)
        await client.put(path, json=IOS, headers=as_user(name))
    assert (await client.get(path, headers=as_user("ada"))).json()["data"] == []
    assert len((await client.get(path, headers=as_user("ben"))).json()["data"]) == 1
    other_app = {**IOS, "app": "other"}
    await client.put(path, json=other_app, headers=as_user("ada"))
    assert len((await client.get(path, headers=as_user("ben"))).json()["data"]) == 1


async def test_a_token_that_several_bring_at_once_ends_on_one_device(
    client: httpx.AsyncClient, server: Headers
) -> None:
    path, phones = "/v1/users/me/devices", {}
    for name in ("ada", "ben"):
        await made(client, server, external_id=name)
    for number in range(12):
        new = {**IOS, "token": apns(f"new-{number}")}
        for name in ("ada", "ben"):
            own = {**IOS, "token": apns(f"{name}-{number}")}
            answer = await client.put(path, json=own, headers=as_user(name))
            phones[name] = answer.json()["id"]
        answers = await asyncio.gather(
            *(client.put(path, json=new, headers=as_user(name)) for name in phones),
            *(
                client.put(f"{path}/{phone}", json=new, headers=as_user(name))
                for name, phone in phones.items()
            ),
        )
        assert {each.status_code for each in answers} <= {200, 404}
        holders = [
            device
            for name in phones
            for device in (await client.get(path, headers=as_user(name))).json()["data"]
            if device["token"] == new["token"]
        ]
        assert len(holders) == 1


async def test_two_phones_may_swap_their_tokens_at_the_same_moment(
    client: httpx.AsyncClient, server: Headers
) -> None:
    path = "/v1/users/me/devices"
    for name in ("ada", "ben"):
        await made(client, server, external_id=name)
    for number in range(12):
        phones = {}
        for name in ("ada", "ben"):
            own = {**IOS, "token": apns(f"{name}-{number}")}
            answer = await client.put(path, json=own, headers=as_user(name))
            phones[name] = answer.json()["id"]
        answers = await asyncio.gather(
            *(
                client.put(
                    f"{path}/{phones[name]}",
                    json={**IOS, "token": apns(f"{other}-{number}")},
                    headers=as_user(name),
                )
                for name, other in (("ada", "ben"), ("ben", "ada"))
            )
        )
        # The one that comes first throws the other's out; that one's phone registers anew.
        assert sorted(each.status_code for each in answers) == [200, 404]


async def test_a_user_keeps_the_fifty_devices_seen_last(
    client: httpx.AsyncClient, server: Headers
) -> None:
    await made(client, server, external_id="ada")
    path = "/v1/users/ada/devices"
    for number in range(52):
        await client.put(path, json={**IOS, "token": apns(f"t{number}")}, headers=server)
    tokens = [each["token"] for each in (await client.get(path, headers=server)).json()["data"]]
    assert tokens == [apns(f"t{number}") for number in range(51, 1, -1)]


@pytest.mark.parametrize(
    "device",
    [
        {"platform": "pager", "token": "t"},
        {"platform": "ios"},
        {"platform": "ios", "token": ""},
        {"platform": "ios", "token": "a b"},
        {"platform": "ios", "token": "6f8a…"},
        {"platform": "ios", "token": "x" * 5000},
        {"platform": "web", "token": "t"},
        {**WEB, "subscription": {**WEB["subscription"], "endpoint": "http://10.0.0.1/"}},  # type: ignore[dict-item]
        {**WEB, "subscription": {"endpoint": "https://push.example/"}},
    ],
    ids=str,
)
async def test_a_bad_device_is_refused(
    client: httpx.AsyncClient, server: Headers, device: dict[str, Any]
) -> None:
    await made(client, server, external_id="ada")
    answer = await client.put("/v1/users/ada/devices", json=device, headers=server)
    assert answer.status_code == 422
    assert "user" not in answer.json()["title"]


async def test_an_export_holds_what_every_feature_knows(
    client: httpx.AsyncClient, server: Headers
) -> None:
    ada = await made(client, server, external_id="ada", name="Ada")
    await client.put("/v1/users/ada/devices", json=IOS, headers=server)
    export = (await client.get("/v1/users/me/export", headers=as_user("ada"))).json()
    assert export["data"]["diary"] == {"line": f"about {ada['id']}"}
    assert export["data"]["accounts"]["user"]["name"] == "Ada"
    assert export["data"]["accounts"]["devices"][0]["token"] == TOKEN.lower()


async def test_deleting_a_user_erases_it_everywhere(
    client: httpx.AsyncClient, server: Headers, process: Process, diary: Diary
) -> None:
    ada = await made(client, server, external_id="ada")
    await client.put("/v1/users/ada/devices", json=IOS, headers=server)
    assert (await client.delete("/v1/users/ada", headers=server)).status_code == 204
    assert diary.erased == [UUID(ada["id"])]
    for table in ("users", "devices"):
        assert await process.db.value(f"select count(*) from accounts.{table}") == 0  # noqa: S608  # both named above
    assert (await facts(process))[-1] == "UserDeleted"
    for name in ("ada", ada["id"]):
        assert (await client.delete(f"/v1/users/{name}", headers=server)).status_code == 404
        assert (await client.get(f"/v1/users/{name}", headers=server)).status_code == 404


async def test_an_erasure_that_fails_in_one_feature_changes_nothing(
    client: httpx.AsyncClient, server: Headers, process: Process, diary: Diary
) -> None:
    await made(client, server, external_id="ada")
    diary.fails = True
    assert (await client.delete("/v1/users/ada", headers=server)).status_code == 500
    assert (await client.get("/v1/users/ada", headers=server)).status_code == 200
    assert await facts(process) == ["UserCreated"]
    diary.fails = False
    assert (await client.delete("/v1/users/ada", headers=server)).status_code == 204


async def test_keys_are_created_listed_without_secrets_and_revoked(
    client: httpx.AsyncClient, server: Headers
) -> None:
    key = (await client.post("/v1/keys", json={"name": "worker"}, headers=server)).json()
    assert (await client.get("/v1/users", headers=bearer(key["secret"]))).status_code == 200
    listed = await client.get("/v1/keys", headers=server)
    assert [each["name"] for each in listed.json()["data"]] == ["test", "worker"]
    assert listed.json()["data"][1]["prefix"] == key["prefix"] == key["secret"][:12]
    assert key["secret"] not in listed.text
    assert (await client.delete(f"/v1/keys/{key['id']}", headers=server)).status_code == 204
    for unknown in (key["id"], str(new_id()), "x"):
        assert (await client.delete(f"/v1/keys/{unknown}", headers=server)).status_code == 404


async def test_a_short_key_shows_nothing_of_itself(process: Process) -> None:
    made = await process.credentials.first_key(secret="nova_sk_of-my-own-choice")
    assert made is not None
    assert made.prefix is None


async def test_the_log_keeps_who_made_and_revoked_which_key(
    client: httpx.AsyncClient, process: Process, server: Headers
) -> None:
    [mine] = await process.credentials.keys()
    with capture_logs() as log:
        key = (await client.post("/v1/keys", json={"name": "worker"}, headers=server)).json()
        await client.delete(f"/v1/keys/{key['id']}", headers=server)
        await client.delete(f"/v1/keys/{key['id']}", headers=server)
    told = [each for each in log if each["event"].startswith("server_key_")]
    assert [(each["event"], str(each["id"]), each["by"]) for each in told] == [
        ("server_key_created", key["id"], mine.id),
        ("server_key_revoked", key["id"], mine.id),
    ]
    assert key["secret"] not in str(log)


async def test_a_minted_token_serves_its_user(client: httpx.AsyncClient, server: Headers) -> None:
    ada = await made(client, server, external_id="ada")
    body = {"user": "ada", "lifetime_s": 60, "device": "phone"}
    minted = (await client.post("/v1/tokens", json=body, headers=server)).json()
    me = await client.get("/v1/users/me", headers=bearer(minted["token"]))
    assert me.json()["id"] == ada["id"] == minted["user"]
    revoke = {"jti": minted["jti"]}
    answer = await client.post("/v1/tokens/revoke", json=revoke, headers=server)
    assert answer.status_code == 204
    nobody = await client.post("/v1/tokens", json={"user": "nobody"}, headers=server)
    assert nobody.status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"jti": "a", "user": "ada"}, 422),
        ({"token": "a.b.c"}, 422),
        ({"token": mint("another secret", "ada")}, 422),
        ({"token": mint(SECRET, "ada", lifetime_s=-60)}, 204),
        ({"jti": "never seen"}, 204),
        ({"user": "nobody"}, 404),
        ({"user": "ada"}, 204),
    ],
)
async def test_what_can_be_revoked(
    client: httpx.AsyncClient, server: Headers, body: dict[str, str], status: int
) -> None:
    await made(client, server, external_id="ada")
    for _ in range(2):
        answer = await client.post("/v1/tokens/revoke", json=body, headers=server)
        assert answer.status_code == status, answer.text


async def test_revocations_are_dropped_once_their_tokens_expired(process: Process) -> None:
    await process.db.run("insert into accounts.revoked values ('old', now() - interval '1 hour')")
    await process.db.run("insert into accounts.revoked values ('new', now() + interval '1 hour')")
    await process.credentials.forget_expired()
    assert await process.credentials.revoked("new")
    assert not await process.credentials.revoked("old")


def body_of(method: str, path: str) -> dict[str, Any] | None:
    """Return a body that the route accepts, so that only the actor decides."""
    bodies: dict[tuple[str, str], dict[str, Any]] = {
        ("POST", "/v1/users"): {},
        ("POST", "/v1/users/bulk"): {"users": [{"external_id": "x"}]},
        ("PATCH", "/v1/users/{user}"): {"name": "x"},
        ("PUT", "/v1/users/{user}/devices"): IOS,
        ("PUT", "/v1/users/{user}/devices/{device}"): IOS,
        ("POST", "/v1/keys"): {"name": "x"},
        ("POST", "/v1/tokens"): {"user": "ada"},
        ("POST", "/v1/tokens/revoke"): {"jti": "x"},
    }
    return bodies.get((method, path))


async def test_every_route_answers_every_actor_by_its_rule(
    client: httpx.AsyncClient, server: Headers, process: Process
) -> None:
    await made(client, server, external_id="ada")
    await made(client, server, external_id="ben")
    expired = bearer(mint(SECRET, "ada", lifetime_s=-60))
    forged = bearer(mint("another secret", "ada"))
    for route in process.feature.routes:
        path = route.path.replace("{user}", "ada")
        path = path.replace("{device}", str(new_id())).replace("{key}", str(new_id()))
        ask = {"json": body} if (body := body_of(route.method, route.path)) else {}

        async def status(
            headers: Headers, method: str = route.method, path: str = path, ask: Any = ask
        ) -> int:
            return (await client.request(method, path, headers=headers, **ask)).status_code

        where = f"{route.method} {route.path}"
        for nobody in ({}, expired, forged, bearer("nova_sk_guess")):
            assert await status(nobody) == 401, where
        other = 404 if route.rule is Rule.SELF else 403
        assert await status(as_user("ben")) == other, where
        missing = any(each in route.path for each in ("{device}", "{key}", "{reference}"))
        if route.rule is Rule.SELF:
            assert await status(as_user("ada")) == (404 if missing else 200), where
        if route.method != "DELETE" and not missing:
            assert await status(server) < 300, where
