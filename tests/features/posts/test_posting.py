"""Posts, likes and comments: who may do and see what, and counts that are exact."""

import asyncio
from typing import Any
from unicodedata import normalize
from urllib.parse import quote
from uuid import UUID

import pytest

from nova.features.accounts import store as accounts
from nova.features.graph.store import LOCK_NEIGHBOURS
from nova.features.posts.store import ERASE, LOCK_AROUND
from nova.kernel.erased_people import Erased
from support.notified import SERVER
from support.posted import Town
from support.waiting import until

WAITING = """
select exists (select from pg_stat_activity
 where datname = current_database() and wait_event_type = 'Lock')
"""
AS_BEFORE = (
    "update posts.posts set tags = '{ह,ｔａｇ,same}' where id = $1",
    "delete from posts.tagged where post = $1",
    "insert into posts.tagged (tag, post) select unnest(tags), id from posts.posts where id = $1",
    "insert into posts.old_tags values ($1)",
)
ANOTHER_SAM = """
insert into accounts.users (id, external_id, folded) values (gen_random_uuid(), 'Sam', 'sam')
"""
PEOPLE = ("ada", "ben", "cleo", "dora", "eve")


async def seers(here: Town, post: str) -> set[str]:
    """Return who may read a post."""
    found = set()
    for name in PEOPLE:
        answer = await here.client.get(
            f"/v1/posts/{post}", headers={"authorization": f"Bearer {name}"}
        )
        assert answer.status_code in (200, 404)
        if answer.is_success:
            found.add(name)
    return found


async def counts(here: Town, post: str) -> tuple[int, int]:
    found = await here.ask(SERVER, "GET", f"posts/{post}")
    return found["likes"], found["comments"]


async def test_the_backend_lists_all_posts_and_nobody_else_does(here: Town) -> None:
    posts = [
        await here.post("ada", "for all"),
        await here.post("ben", "for friends", visibility="close_friends"),
        await here.post("ada", "again"),
    ]
    page = await here.ask(SERVER, "GET", "posts?limit=2")
    rest = await here.ask(SERVER, "GET", f"posts?limit=2&cursor={page['next_cursor']}")
    assert [each["id"] for each in page["data"] + rest["data"]] == posts[::-1]
    assert rest["next_cursor"] is None
    await here.ask("ada", "GET", "posts", status=403)


async def test_a_post_is_published_changed_and_taken_away(here: Town) -> None:
    media = [{"type": "image", "ref": "https://cdn.example/1.jpg", "alt": "a harbour"}]
    made = await here.ask(
        "ada",
        "POST",
        "posts",
        status=201,
        json={"text": "With @ben at the #Harbour", "media": media},
    )
    assert made["author"]["external_id"] == "ada"
    assert made["tags"] == ["harbour"]
    assert [each["name"] for each in made["mentions"]] == ["Ben"]
    assert made["media"] == media
    assert (made["likes"], made["comments"], made["liked"]) == (0, 0, False)
    path = f"posts/{made['id']}"
    changed = await here.ask("ada", "PATCH", path, json={"text": "Alone. #quiet"})
    assert changed["text"] == "Alone. #quiet"
    assert (changed["tags"], changed["mentions"]) == (["quiet"], [])
    assert changed["media"] == media
    assert changed["edited_at"] is not None
    assert await here.ask("ben", "GET", path) == changed
    await here.ask("ada", "DELETE", path, status=204)
    for who in ("ada", "ben", SERVER):
        assert (await here.ask(who, "GET", path, status=404))["code"] == "no_such_post"


async def test_posts_are_listed_by_hashtag_for_who_may_see_them(here: Town) -> None:
    await here.post("ada", "at the #Harbour")
    edited = await here.post("ben", "#Harbour, too")
    await here.post("ben", "for friends of the #harbour", visibility="close_friends")
    gone = await here.post("cleo", "#harbour again and #harbour")
    await here.post("dora", "#harbours")
    await here.post("dora", "muted #harbour")
    await here.post("eve", "blocked #harbour")
    await here.ask("ada", "PUT", "users/me/mutes/dora", json={})
    await here.ask("eve", "PUT", "users/me/blocks/ada")

    async def found(who: str, tag: str = "harbour") -> list[str]:
        return [each["text"] for each in await here.all(who, f"tags/{tag}/posts", limit=1)]

    assert await found("ada") == ["#harbour again and #harbour", "#Harbour, too", "at the #Harbour"]
    assert len(await found(SERVER, "HARBOUR")) == 6
    await here.ask("ben", "PATCH", f"posts/{edited}", json={"text": "#quiet"})
    await here.ask("cleo", "DELETE", f"posts/{gone}", status=204)
    assert await found("ada") == ["at the #Harbour"]
    assert await found("ada", "quiet") == ["#quiet"]
    assert await found("ada", "nothing") == []
    for bad in ("a b", "1", "%23a", "a" * 65):
        refused = await here.ask("ada", "GET", f"tags/{bad}/posts", status=404)
        assert refused["code"] == "no_such_tag"


async def test_the_page_of_a_tag_opens_in_whatever_form_it_is_named(here: Town) -> None:
    for text in ("#हिन्दी #שָׁלוֹם", "\uff03हिन्दी #İstanbul #Straße", "#می\u200cخواهم"):
        await here.post("ada", text)
    forms = {"हिन्दी": 2, "İSTANBUL": 1, "STRASSE": 1, "straße": 1, "می\u200cخواهم": 1, "שָׁלוֹם": 1}
    for tag, count in forms.items():
        for form in (tag, quote(tag), quote(normalize("NFD", tag))):
            assert len(await here.all("ben", f"tags/{form}/posts")) == count, form
        published = await here.all("ben", f"tags/{tag}/posts")
        for each in published:
            for kept in each["tags"]:
                assert await here.all("ben", f"tags/{quote(kept)}/posts")


async def test_posts_from_before_are_found_by_their_whole_hashtags(here: Town) -> None:
    old = await here.post("ada", "#हिन्दी #\uff54\uff41\uff47 #same")
    for statement in AS_BEFORE:
        await here.world.pool.run(statement, UUID(old))
    await here.world.posts.old_tags.read()
    post = await here.ask("ada", "GET", f"posts/{old}")
    assert post["tags"] == ["हिन्दी", "tag", "same"]
    for tag, count in {"हिन्दी": 1, "tag": 1, "same": 1, "ह": 0}.items():
        assert len(await here.all("ben", f"tags/{quote(tag)}/posts")) == count
    assert await here.world.pool.value("select count(*) from posts.old_tags") == 0


async def test_a_mention_names_the_longest_id_that_there_is(here: Town) -> None:
    await here.world.meet("Ada.B", "李雷", "Größe")
    for text, named in {
        "@ada.b": ["ada.b"],
        "@ada.c @ben-franklin": ["ada", "ben"],
        "@adaさん 你好@ben": ["ada", "ben"],
        "\uff20ADA _@Ben_ .@cleo": ["ada", "ben", "cleo"],
        "@李雷你好": ["李雷"],
        "@GRÖSSE @gro\u0308ße": ["größe"],
        f"@{here.world.ids['dora']}": ["dora"],
        "@adax ada@ben.org https://example.org/@ada @test@example.com": [],
    }.items():
        made = await here.ask("eve", "POST", "posts", status=201, json={"text": text})
        assert [each["external_id"] for each in made["mentions"]] == named, text


async def test_of_ids_that_differ_in_case_the_one_that_is_written_is_meant(here: Town) -> None:
    await here.world.meet("SAM")  # whose id is sam
    await here.world.pool.run(ANOTHER_SAM)
    for text, named in {"@Sam": ["Sam"], "@sam": ["sam"], "@SAM @ada": ["ada"]}.items():
        made = await here.ask("eve", "POST", "posts", status=201, json={"text": text})
        assert [each["external_id"] for each in made["mentions"]] == named


async def test_only_the_author_and_the_backend_change_a_post(here: Town) -> None:
    post = await here.post("ada")
    await here.ask("ben", "PATCH", f"posts/{post}", json={"text": "mine"}, status=404)
    await here.ask("ben", "DELETE", f"posts/{post}", status=404)
    await here.ask(SERVER, "PATCH", f"posts/{post}", json={"visibility": "followers"})
    await here.ask(SERVER, "DELETE", f"posts/{post}", params={"user": "ben"}, status=404)
    assert await seers(here, post) == {"ada"}
    await here.ask(SERVER, "DELETE", f"posts/{post}", status=204)


async def test_who_is_removed_as_a_follower_sees_nothing_for_close_friends(here: Town) -> None:
    await here.follow("cleo", "ada")
    await here.ask("ada", "PUT", "users/me/privacy", json={"private": True})
    await here.ask("ada", "PUT", "users/me/close-friends/cleo")
    post = await here.post("ada", visibility="close_friends")
    assert await seers(here, post) == {"ada", "cleo"}
    await here.ask("ada", "DELETE", "users/me/followers/cleo")
    assert await seers(here, post) == {"ada"}
    assert not (await here.ask("ada", "GET", "users/me/relation/cleo"))["close_friend"]


@pytest.mark.parametrize(
    ("visibility", "private", "who"),
    [
        ("public", False, {"ada", "ben", "cleo", "dora"}),
        ("public", True, {"ada", "ben"}),
        ("followers", False, {"ada", "ben"}),
        ("followers", True, {"ada", "ben"}),
        ("close_friends", False, {"ada", "cleo"}),
        ("close_friends", True, {"ada", "cleo"}),
    ],
)
async def test_visibility(here: Town, visibility: str, private: bool, who: set[str]) -> None:
    await here.follow("ben", "ada")
    await here.ask("ada", "PUT", "users/me/close-friends/cleo")
    await here.ask("ada", "PUT", "users/me/blocks/eve")
    await here.ask("ada", "PUT", "users/me/privacy", json={"private": private})
    post = await here.post("ada", visibility=visibility)
    assert await seers(here, post) == who
    for name in PEOPLE[1:4]:
        status = 200 if name in who else 404
        if private and name == "dora":
            await here.ask(name, "GET", "users/ada/posts", status=404)
        else:
            listed = [each["id"] for each in await here.all(name, "users/ada/posts")]
            assert listed == ([post] if name in who else [])
        for method, path, json in (
            ("PUT", f"posts/{post}/like", None),
            ("GET", f"posts/{post}/likes", None),
            ("GET", f"posts/{post}/comments", None),
        ):
            await here.ask(name, method, path, status=status, json=json)
        said = {"text": "well"}
        await here.ask(
            name, "POST", f"posts/{post}/comments", json=said, status=201 if name in who else 404
        )
    await here.ask("eve", "GET", "users/ada/posts", status=404)
    assert await counts(here, post) == (len(who) - 1, len(who) - 1)


async def test_likes_are_counted_exactly_when_many_come_and_go_at_once(here: Town) -> None:
    names = [f"P{number}" for number in range(20)]
    await here.world.meet(*names)
    one, other = await here.post("ada"), await here.post("ben")
    wants: list[tuple[str, str, str]] = []
    for name in names:
        wants += [(name.lower(), "PUT", one), (name.lower(), "PUT", other)]
    for name in names[:7]:
        wants += [(name.lower(), "DELETE", one), (name.lower(), "PUT", other)]
    await asyncio.gather(
        *(here.ask(who, method, f"posts/{post}/like") for who, method, post in wants)
    )
    for post in (one, other):
        likers = await here.all(SERVER, f"posts/{post}/likes", limit=6)
        ids = [each["person"]["id"] for each in likers]
        assert len(set(ids)) == len(ids)
        assert (await counts(here, post))[0] == len(ids)
    assert (await counts(here, other))[0] == 20
    liked = await here.ask("p19", "GET", f"posts/{one}")
    assert liked["liked"]
    again = await here.ask("p19", "PUT", f"posts/{one}/like")
    assert again == {"liked": True, "likes": liked["likes"]}


async def test_comments_nest_one_level_and_are_counted(here: Town) -> None:
    post = await here.post("ada")
    first = await here.comment("ben", post, "first")
    reply = await here.comment("cleo", post, "reply", reply_to=first)
    beside = await here.comment("dora", post, "beside", reply_to=reply)
    last = await here.comment("ben", post, "last")
    found = await here.all("eve", f"posts/{post}/comments", limit=1)
    assert [(each["text"], each["replies"]) for each in found] == [("first", 2), ("last", 0)]
    replies = await here.all("eve", f"comments/{first}/replies", limit=1)
    assert [(each["id"], each["parent"]) for each in replies] == [(reply, first), (beside, first)]
    assert await counts(here, post) == (0, 4)
    await here.ask("dora", "DELETE", f"comments/{first}", status=404)
    await here.ask("dora", "DELETE", f"comments/{beside}", status=204)
    assert (await here.ask("eve", "GET", f"comments/{first}"))["replies"] == 1
    await here.ask("ada", "DELETE", f"comments/{first}", status=204)
    assert await counts(here, post) == (0, 1)
    await here.ask("eve", "GET", f"comments/{reply}", status=404)
    elsewhere = await here.post("ada")
    said = {"text": "lost", "reply_to": last}
    await here.ask("ben", "POST", f"posts/{elsewhere}/comments", json=said, status=404)


async def test_a_comment_is_changed_by_who_wrote_it_or_the_backend(here: Town) -> None:
    post = await here.post("ada")
    comment = await here.comment("ben", post, "frist")
    path = f"comments/{comment}"
    changed = await here.ask("ben", "PATCH", path, json={"text": "first, @cleo"})
    assert (changed["text"], [each["name"] for each in changed["mentions"]]) == (
        "first, @cleo",
        ["Cleo"],
    )
    assert changed["edited_at"] is not None
    assert await here.all("eve", f"posts/{post}/comments") == [changed]
    for who in ("ada", "cleo"):  # not even the post's author
        await here.ask(who, "PATCH", path, json={"text": "mine"}, status=404)
    for bad in ({}, {"text": ""}, {"text": "a\0"}, {"text": "a", "likes": 1}):
        await here.ask("ben", "PATCH", path, json=bad, status=422)
    by_backend = await here.ask(SERVER, "PATCH", path, json={"text": "moderated"})
    assert by_backend["author"]["name"] == "Ben"
    assert await counts(here, post) == (0, 1)
    exported = await here.world.posts.posts.export(here.world.ids["ben"])
    assert [(each["text"], each["edited_at"] is not None) for each in exported["comments"]] == [
        ("moderated", True)
    ]
    await here.ask("ada", "PUT", "users/me/blocks/ben")
    await here.ask("ben", "PATCH", path, json={"text": "still here"}, status=404)
    await here.ask("ben", "PATCH", "comments/none", json={"text": "no"}, status=404)


async def test_whom_a_block_or_mute_hides_is_left_out_of_comments_and_likes(here: Town) -> None:
    post = await here.post("ada")
    for name in ("ben", "cleo", "dora"):
        await here.comment(name, post, name)
        await here.like(post, name)
    first, _, _ = await here.all(SERVER, f"posts/{post}/comments")
    await here.ask("ben", "PUT", "users/me/blocks/eve")
    await here.ask("eve", "PUT", "users/me/mutes/cleo", json={})
    texts = [each["text"] for each in await here.all("eve", f"posts/{post}/comments", limit=1)]
    assert texts == ["dora"]
    likers = await here.all("eve", f"posts/{post}/likes", limit=1)
    assert [each["person"]["name"] for each in likers] == ["Dora"]
    await here.ask("eve", "GET", f"comments/{first['id']}", status=404)
    said = {"text": "hey", "reply_to": first["id"]}
    await here.ask("eve", "POST", f"posts/{post}/comments", json=said, status=404)
    assert await counts(here, post) == (3, 3)


async def test_erasing_a_person_leaves_exact_counts(here: Town) -> None:
    mine = await here.post("ada")
    theirs = await here.post("ben")
    await here.like(theirs, "ada", "cleo")
    await here.like(mine, "ben")
    comment = await here.comment("ada", theirs)
    await here.comment("cleo", theirs, reply_to=comment)
    kept = await here.comment("cleo", theirs, "kept")
    await here.comment("ada", theirs, reply_to=kept)
    exported = await here.world.posts.posts.export(here.world.ids["ada"])
    assert [len(exported[kind]) for kind in ("posts", "comments", "likes")] == [1, 2, 1]
    async with here.world.db.transaction() as tx:
        await here.world.posts.erasing.erase(tx, here.world.ids["ada"])
    assert await counts(here, theirs) == (1, 1)
    assert (await here.ask("ben", "GET", f"comments/{kept}"))["replies"] == 0
    await here.ask("ben", "GET", f"posts/{mine}", status=404)
    exported = await here.world.posts.posts.export(here.world.ids["ada"])
    assert exported == {"posts": [], "comments": [], "likes": []}


@pytest.mark.parametrize(("method", "path"), [("PUT", "like"), ("POST", "comments")])
async def test_who_is_being_erased_and_acts_is_waited_for(
    here: Town, method: str, path: str
) -> None:
    """Both take the user first and then the post, and so never wait for each other."""
    post = await here.post("ben")
    await here.like(post, "ada")
    await here.ask("ada", "DELETE", f"posts/{post}/like")
    await here.comment("ada", post)
    ada = here.world.ids["ada"]

    async def waiting() -> bool:
        return bool(await here.world.pool.value(WAITING))

    async with here.world.db.transaction() as tx:
        await accounts.lock(tx, ada)
        acting = asyncio.create_task(
            here.ask("ada", method, f"posts/{post}/{path}", json={"text": "well"}, status=404)
        )
        await until(waiting)
        await here.world.posts.erasing.erase(tx, ada)
        await here.world.graph.erase(tx, ada)
        await accounts.delete(tx, ada)
    assert (await acting)["code"] == "no_such_user"
    assert await counts(here, post) == (0, 0)


async def test_erasing_a_person_takes_the_name_out_of_what_others_wrote(here: Town) -> None:
    post = await here.post("ben", "hello @ada and @cleo")
    comment = await here.comment("ben", post, "well, @ada, not @adam")
    erased = Erased([here.world.ids["ada"]], ["ada"])
    while await here.world.posts.erasing.unname(erased, "") is not None:
        pass
    left = await here.world.pool.fetch("""
        select id, body, mentions from posts.posts
         union all select id, body, mentions from posts.comments""")
    assert {str(row["id"]): (row["body"], list(row["mentions"])) for row in left} == {
        post: ("hello @… and @cleo", [here.world.ids["cleo"]]),
        comment: ("well, @…, not @adam", []),
    }


@pytest.mark.parametrize("statement", [LOCK_NEIGHBOURS, LOCK_AROUND, *ERASE])
async def test_an_erasure_reads_no_table_from_end_to_end(here: Town, statement: str) -> None:
    """There are indexes for all of it, and no statement is written so that it cannot use them."""
    who = "1" if "graph." in statement else f"'{here.world.ids['ada']}'"
    async with here.world.pool.begin() as queries:
        await queries.run("set local enable_seqscan = off")
        plan = await queries.fetch(f"explain {statement.replace('$1', who)}")
    # A subplan filters what is read: every row of a table, be it by an index.
    steps = [row["QUERY PLAN"] for row in plan]
    assert not [step for step in steps if "Seq Scan" in step or "SubPlan" in step]


BAD: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "nothing": ("POST", "posts", {"json": {}}, 422),
    "blanks": ("POST", "posts", {"json": {"text": " \n"}}, 422),
    "too long": ("POST", "posts", {"json": {"text": "a" * 5_001}}, 422),
    "NUL": ("POST", "posts", {"json": {"text": "a\0"}}, 422),
    "unknown visibility": ("POST", "posts", {"json": {"text": "a", "visibility": "all"}}, 422),
    "unknown field": ("POST", "posts", {"json": {"text": "a", "likes": 9}}, 422),
    "eleven pictures": (
        "POST",
        "posts",
        {"json": {"media": [{"type": "image", "ref": "a"}] * 11}},
        422,
    ),
    "a script": (
        "POST",
        "posts",
        {"json": {"media": [{"type": "image", "ref": "JavaScript:alert(1)"}]}},
        422,
    ),
    "blanks in a reference": (
        "POST",
        "posts",
        {"json": {"media": [{"type": "image", "ref": "a b"}]}},
        422,
    ),
    "a port that cannot be": (
        "POST",
        "posts",
        {"json": {"media": [{"type": "image", "ref": "https://cdn.example:99999/1"}]}},
        422,
    ),
    "a host that cannot be": (
        "POST",
        "posts",
        {"json": {"media": [{"type": "image", "ref": "https://cdn..example/1"}]}},
        422,
    ),
    "no post": ("GET", "posts/none", {}, 404),
    "no comment": ("GET", "comments/none/replies", {}, 404),
    "unknown post": ("PUT", "posts/01890000-0000-7000-8000-000000000000/like", {}, 404),
    "SQL": ("GET", "posts/' or true --", {}, 404),
    "no user": ("GET", "users/nobody/posts", {}, 404),
    "for somebody else": ("GET", "feeds/home", {"params": {"user": "ben"}}, 403),
    "cursor": ("GET", "feeds/home", {"params": {"cursor": "AAAA"}}, 400),
    "limit": ("GET", "feeds/home", {"params": {"limit": "101"}}, 422),
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_input_is_refused(here: Town, case: str) -> None:
    method, path, more, status = BAD[case]
    answer = await here.ask("ada", method, path, status=status, **more)
    assert {"code", "hint", "trace_id"} <= answer.keys()


async def test_an_edit_may_not_leave_nothing(here: Town) -> None:
    post = await here.post("ada", "words")
    refused = await here.ask("ada", "PATCH", f"posts/{post}", json={"text": ""}, status=422)
    assert refused["code"] == "empty_post"


async def test_a_cursor_is_good_for_one_list_and_one_person(here: Town) -> None:
    for number in range(3):
        await here.post("ada", str(number))
    page = await here.ask("ada", "GET", "feeds/home", params={"limit": 1})
    query = {"cursor": page["next_cursor"]}
    await here.ask("ada", "GET", "feeds/home", params=query)
    await here.ask("ben", "GET", "feeds/home", params=query, status=400)
    await here.ask("ada", "GET", "users/ada/posts", params=query, status=400)


async def test_a_server_key_says_whose_feed(here: Town) -> None:
    await here.post("ada", "hello")
    assert await here.feed(SERVER, user="ada") == ["hello"]
    await here.ask(SERVER, "GET", "feeds/home", status=422)
    await here.ask(SERVER, "GET", "feeds/home", params={"user": "nobody"}, status=404)


async def test_who_is_named_is_not_shown_to_whom_a_block_separates(here: Town) -> None:
    await here.follow("ada", "cleo")
    post = await here.post("cleo", "hello @ben and @dora #friends")
    comment = await here.comment("cleo", post, "well @ben and @dora")
    await here.ask("ben", "PUT", "users/me/blocks/ada")

    async def named(who: str) -> list[list[str]]:
        shown = [
            await here.ask(who, "GET", f"posts/{post}"),
            *(await here.all(who, "users/cleo/posts")),
            *(await here.all(who, "tags/friends/posts")),
            await here.ask(who, "GET", f"comments/{comment}"),
            *(await here.all(who, f"posts/{post}/comments")),
        ]
        return [[each["external_id"] for each in one["mentions"]] for one in shown]

    assert await named("ada") == [["dora"]] * 5
    assert await named("eve") == [["ben", "dora"]] * 5
    (fed,) = await here.all("ada", "feeds/home")
    assert [each["external_id"] for each in fed["mentions"]] == ["dora"]


@pytest.mark.parametrize("act", ["PUT users/me/blocks/ada", "PUT users/me/privacy", "PATCH"])
async def test_what_was_done_to_a_post_that_is_hidden_by_now_can_be_taken_back(
    here: Town, act: str
) -> None:
    post = await here.post("ben")
    comment = await here.comment("ada", post)
    await here.like(post, "ada", "cleo")
    await here.ask("ben", "PUT", "users/me/blocks/dora")
    method, _, path = act.partition(" ")
    closed = {"private": True} if path else {"visibility": "followers"}
    await here.ask("ben", method, path or f"posts/{post}", json=closed)
    for path in (f"comments/{comment}", f"posts/{post}/like"):
        await here.ask("dora", "DELETE", path, status=404)
    await here.ask("ada", "PATCH", f"comments/{comment}", status=404, json={"text": "or else"})
    for path in (f"comments/{comment}", f"posts/{post}/like"):  # gone, and nobody can tell
        await here.ask("ada", "DELETE", path, status=404)
        await here.ask("ada", "DELETE", path, status=404)
    shown = await here.ask("ben", "GET", f"posts/{post}")
    assert (shown["likes"], shown["comments"]) == (1, 0)


async def test_an_author_sees_and_deletes_what_blocked_people_said(here: Town) -> None:
    post = await here.post("ada")
    insult = await here.comment("ben", post, "insult")
    reply = await here.comment("ben", post, "more", reply_to=insult)
    other = await here.comment("cleo", post, "nice")
    below = await here.comment("ben", post, "not", reply_to=other)
    await here.like(post, "ben", "cleo")
    await here.ask("ben", "PUT", "users/me/blocks/ada")  # either side may block, or both
    await here.ask("ada", "PUT", "users/me/mutes/cleo", json={})
    for _ in range(2):
        said = await here.all("ada", f"posts/{post}/comments")
        assert [each["id"] for each in said] == [insult, other]
        below_it = await here.all("ada", f"comments/{insult}/replies")
        assert [each["id"] for each in below_it] == [reply]
        fans = await here.all("ada", f"posts/{post}/likes")
        assert {each["person"]["external_id"] for each in fans} == {"ben", "cleo"}
        seen = await here.ask("ada", "GET", f"posts/{post}")
        assert (seen["likes"], seen["comments"]) == (2, 4)
        assert (await here.ask("ada", "GET", f"comments/{insult}"))["replies"] == 1
        for path in (f"posts/{post}", f"posts/{post}/comments", f"comments/{insult}"):
            await here.ask("ben", "GET", path, status=404)
        await here.ask(SERVER, "PUT", "users/ada/blocks/ben")
    await here.ask("ada", "DELETE", f"comments/{reply}", status=204)
    await here.ask("ada", "DELETE", f"comments/{insult}", status=204)
    await here.ask("ben", "DELETE", f"comments/{below}", status=404)
    assert await counts(here, post) == (2, 1)


async def test_what_one_said_can_be_deleted_after_a_block_of_either_side(here: Town) -> None:
    post = await here.post("ada")
    ours = [await here.comment("ben", post) for _ in range(2)]
    await here.like(post, "ben")
    await here.ask("ada", "PUT", "users/me/blocks/ben")
    await here.ask("ben", "DELETE", f"comments/{ours[0]}", status=404)
    await here.ask("ben", "DELETE", f"posts/{post}/like", status=404)
    await here.ask("ada", "DELETE", "users/me/blocks/ben")
    await here.ask("ben", "PUT", "users/me/blocks/ada")
    await here.ask("ben", "DELETE", f"comments/{ours[1]}", status=404)
    assert await counts(here, post) == (0, 0)


async def test_counts_are_those_of_the_lists_that_somebody_sees(here: Town) -> None:
    post = await here.post("ada")
    first = await here.comment("ben", post)
    await here.comment("cleo", post, reply_to=first)
    kept = await here.comment("cleo", post)
    await here.comment("ben", post, reply_to=kept)
    await here.like(post, "ben", "cleo")
    await here.ask("ben", "PUT", "users/me/blocks/dora")
    for who, comments, likes, replies in (("eve", 4, 2, 1), ("dora", 1, 1, 0), ("ada", 4, 2, 1)):
        seen = await here.ask(who, "GET", f"posts/{post}")
        assert (seen["comments"], seen["likes"]) == (comments, likes), who
        said = await here.all(who, f"posts/{post}/comments")
        below = [await here.all(who, f"comments/{each['id']}/replies") for each in said]
        assert len(said) + sum(map(len, below)) == comments
        assert len(await here.all(who, f"posts/{post}/likes")) == likes
        assert (await here.ask(who, "GET", f"comments/{kept}"))["replies"] == replies
    assert (await here.ask("dora", "PUT", f"posts/{post}/like"))["likes"] == 2
    await here.ask("ben", "DELETE", "users/me/blocks/dora")
    assert (await here.ask("dora", "GET", f"posts/{post}"))["likes"] == 3


async def test_who_is_suspended_is_there_for_the_backend_alone(here: Town) -> None:
    await here.follow("dora", "ben")
    await here.follow("ben", "dora")
    post = await here.post("ben")
    other = await here.post("ada", "about #rain @ben")
    said = await here.comment("ben", other)
    await here.like(other, "ben")
    async with here.world.db.transaction() as tx:
        await tx.run("update accounts.users set suspended = true where external_id = 'ben'")
        tx.after_commit(lambda: here.world.people.forget(None))
    for who, there in (("dora", False), (SERVER, True)):
        comments = await here.all(who, f"posts/{other}/comments")
        assert [each["id"] for each in comments] == ([said] if there else [])
        assert bool(await here.all(who, f"posts/{other}/likes")) is there
        assert bool((await here.ask(who, "GET", f"posts/{other}"))["mentions"]) is there
        assert bool(await here.all(who, "users/dora/followers")) is there
        await here.ask(who, "GET", f"posts/{post}", status=200 if there else 404)
    assert await here.feed("dora") == []
