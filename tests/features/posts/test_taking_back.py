"""What is gone is gone from inboxes: the counts say so, and every open socket is told."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from nova.features import notifications
from nova.features.accounts.events import UserSuspended
from nova.features.notifications import RETENTION
from nova.ports.channels import Position
from support.posted import Town
from support.waiting import until

Deed = Callable[[Town], Awaitable[str]]
"""Has Ada do something that rings Ben; returns the path of the call that takes it back."""
LIKED = "liked your post"


async def _like(here: Town) -> str:
    post = await here.post("ben", "of the harbour")
    await here.like(post, "ada")
    return f"posts/{post}/like"


async def _comment(here: Town) -> str:
    return f"comments/{await here.comment('ada', await here.post('ben'), 'a secret')}"


async def _reply(here: Town) -> str:
    post = await here.post("cleo")
    comment = await here.comment("ben", post)
    return f"comments/{await here.comment('ada', post, 'a secret', reply_to=comment)}"


async def _mention(here: Town) -> str:
    return f"posts/{await here.post('ada', 'a secret for @ben')}"


async def _mention_in_comment(here: Town) -> str:
    post = await here.post("cleo")
    return f"comments/{await here.comment('ada', post, 'a secret for @ben')}"


async def _follow(here: Town) -> str:
    await here.follow("ada", "ben")
    return "users/me/following/ben"


async def _request(here: Town) -> str:
    await here.ask("ben", "PUT", "users/me/privacy", json={"private": True})
    return await _follow(here)


DEEDS: dict[str, Deed] = {
    "like": _like,
    "comment": _comment,
    "reply": _reply,
    "mention": _mention,
    "mention in a comment": _mention_in_comment,
    "follow": _follow,
    "request": _request,
}


async def _do(here: Town, who: str, method: str, path: str, **more: object) -> None:
    headers = {"authorization": f"Bearer {who}"}
    answer = await here.client.request(method, f"/v1/{path}", headers=headers, **more)  # type: ignore[arg-type]
    assert answer.is_success, answer.text


async def _rung(here: Town, who: str = "ben") -> None:
    assert len(await here.rings(who)) == 1


async def _gone(here: Town, who: str = "ben") -> None:
    """The inbox is empty, the counts say so, and so does what an open socket was told last."""
    assert await here.rings(who) == []
    counts = await here.ask(who, "GET", "notifications/counts")
    assert counts == {"unseen": 0, "unread": 0}
    last = here.world.socket(who)[-1]
    assert (last["type"], last["unseen"], last["unread"]) == ("removed", 0, 0)


@pytest.mark.parametrize("kind", DEEDS)
async def test_what_its_actor_takes_back_is_gone(here: Town, kind: str) -> None:
    path = await DEEDS[kind](here)
    await _rung(here)
    await _do(here, "ada", "DELETE", path)
    await _gone(here)


@pytest.mark.parametrize("kind", DEEDS)
@pytest.mark.parametrize(("who", "whom"), [("ada", "ben"), ("ben", "ada")])
async def test_a_block_of_either_side_takes_back_what_one_did_to_the_other(
    here: Town, kind: str, who: str, whom: str
) -> None:
    await DEEDS[kind](here)
    await _rung(here)
    await here.ask(who, "PUT", f"users/me/blocks/{whom}")
    await _gone(here)


@pytest.mark.parametrize("kind", DEEDS)
async def test_what_somebody_did_who_is_suspended_is_gone(here: Town, kind: str) -> None:
    await DEEDS[kind](here)
    await _rung(here)
    ada = here.world.ids["ada"]
    async with here.world.db.transaction() as tx:
        await tx.run("update accounts.users set suspended = true where id = $1", ada)
        await tx.emit(UserSuspended(user=ada))
    await _gone(here)


@pytest.mark.parametrize("kind", ["mention in a comment", "reply"])
async def test_what_was_said_under_a_post_is_gone_once_its_author_is_suspended(
    here: Town, kind: str
) -> None:
    await DEEDS[kind](here)
    await _rung(here)
    cleo = here.world.ids["cleo"]
    async with here.world.db.transaction() as tx:
        await tx.run("update accounts.users set suspended = true where id = $1", cleo)
        await tx.emit(UserSuspended(user=cleo))
    await _gone(here)


@pytest.mark.parametrize("kind", DEEDS)
async def test_a_mute_takes_nothing_back(here: Town, kind: str) -> None:
    await DEEDS[kind](here)
    await _rung(here)
    await here.ask("ben", "PUT", "users/me/mutes/ada", json={})
    await here.follow("ada", "dora")
    await _rung(here, "dora")  # all that was told before was heard, too
    await _rung(here)


@pytest.mark.parametrize("kind", ["like", "comment", "mention", "reply"])
async def test_with_a_post_goes_what_was_told_of_it(here: Town, kind: str) -> None:
    author = {"mention": "ada", "reply": "cleo"}.get(kind, "ben")
    await DEEDS[kind](here)
    await _rung(here)
    post = (await here.all(author, f"users/{author}/posts"))[0]["id"]
    await _do(here, author, "DELETE", f"posts/{post}")
    await _gone(here)


async def test_with_a_comment_go_its_replies(here: Town) -> None:
    post = await here.post("cleo")
    comment = await here.comment("dora", post)
    await here.comment("ada", post, "a secret for @ben", reply_to=comment)
    await _rung(here)
    await _do(here, "dora", "DELETE", f"comments/{comment}")
    await _gone(here)


@pytest.mark.parametrize("of", ["posts", "comments"])
async def test_who_is_edited_out_was_never_named(here: Town, of: str) -> None:
    path = await (_mention if of == "posts" else _mention_in_comment)(here)
    await _rung(here)
    await _do(here, "ada", "PATCH", path, json={"text": "nobody"})
    await _gone(here)


@pytest.mark.parametrize("visibility", ["followers", "close_friends"])
@pytest.mark.parametrize("kind", ["mention", "mention in a comment", "reply"])
async def test_a_post_for_fewer_is_not_told_of_to_the_others(
    here: Town, kind: str, visibility: str
) -> None:
    author = "ada" if kind == "mention" else "cleo"
    await DEEDS[kind](here)
    await _rung(here)
    post = (await here.all(author, f"users/{author}/posts"))[0]["id"]
    await _do(here, author, "PATCH", f"posts/{post}", json={"visibility": visibility})
    await _gone(here)


@pytest.mark.parametrize("kind", ["mention", "mention in a comment", "reply"])
async def test_an_account_that_closes_is_not_told_of_to_strangers(here: Town, kind: str) -> None:
    await DEEDS[kind](here)
    await _rung(here)
    author = "ada" if kind == "mention" else "cleo"
    await _do(here, author, "PUT", "users/me/privacy", json={"private": True})
    await _gone(here)


@pytest.mark.parametrize("how", ["unfollowing", "removing"])
@pytest.mark.parametrize("kind", ["mention", "mention in a comment", "reply"])
async def test_what_is_for_followers_goes_with_the_follow(here: Town, kind: str, how: str) -> None:
    author = "ada" if kind == "mention" else "cleo"
    await here.follow("ben", author)
    await here.follow("ada", "cleo")
    await DEEDS[kind](here)
    await _rung(here)
    post = (await here.all(author, f"users/{author}/posts"))[0]["id"]
    await _do(here, author, "PATCH", f"posts/{post}", json={"visibility": "followers"})
    await _rung(here)
    if how == "removing":
        await _do(here, author, "DELETE", "users/me/followers/ben")
    else:
        await _do(here, "ben", "DELETE", f"users/me/following/{author}")
    await _gone(here)


async def test_a_request_that_is_declined_is_gone(here: Town) -> None:
    await _request(here)
    await _rung(here)
    await _do(here, "ben", "POST", "users/me/follow-requests/ada/decline")
    await _gone(here)


async def test_a_request_that_is_granted_stays_until_the_follow_ends(here: Town) -> None:
    await _request(here)
    await _do(here, "ben", "POST", "users/me/follow-requests/ada/approve")
    assert await here.rings("ada") == ["Ben lets you follow"]
    await _rung(here)
    await _do(here, "ben", "DELETE", "users/me/followers/ada")
    await _gone(here)
    await _gone(here, "ada")


async def test_an_edit_is_told_in_its_new_words(here: Town) -> None:
    comment = await _comment(here)
    await _rung(here)
    await _do(here, "ada", "PATCH", comment, json={"text": "no secret"})
    await here.heard()
    [one] = await here.world.inbox("ben")
    assert (one["body"], one["metadata"]["text"]) == ("no secret", "no secret")
    last = here.world.socket("ben")[-1]
    assert (last["type"], last["notification"], last["unread"]) == ("updated", one, 1)


async def test_an_edited_post_changes_what_likes_and_mentions_say_of_it(here: Town) -> None:
    post = await here.post("ben", "a secret for @cleo")
    await here.like(post, "ada")
    assert len(await here.rings("ben")) == len(await here.rings("cleo")) == 1
    await _do(here, "ben", "PATCH", f"posts/{post}", json={"text": "nothing, @cleo"})
    await here.heard()
    for who in ("ben", "cleo"):
        [one] = await here.world.inbox(who)
        assert one["body"] == "nothing, @cleo"
        assert "secret" not in str(one)


WAITING = """
select count(*) from pg_locks where not granted and relation = 'notifications.inbox'::regclass
"""


async def test_what_changes_between_its_decision_and_its_storing_is_found(here: Town) -> None:
    post = await here.post("ben")
    async with here.world.pool.begin() as holding:
        await holding.run("lock table notifications.inbox in share mode")  # others may read
        await here.like(post, "ada")

        async def is_being_stored() -> bool:
            return bool(await here.world.pool.value(WAITING))

        await until(is_being_stored)
        await here.ask("ada", "DELETE", f"posts/{post}/like")
    await _gone(here)
    assert [each["type"] for each in here.world.socket("ben")] == ["notification", "removed"]


async def test_who_comes_back_is_not_told_of_what_is_gone_either(here: Town) -> None:
    gone = await _comment(here)
    edited = await _comment(here)
    assert len(await here.rings("ben")) == 2
    await _do(here, "ada", "DELETE", gone)
    await _do(here, "ada", "PATCH", edited, json={"text": "no such thing"})
    await here.heard()
    channels, channel = here.world.backbone.channels, f"user:{here.world.ids['ben']}"
    start = Position((await channels.position(channel)).epoch, 0)
    _, missed = await channels.recover(channel, start, RETENTION, 100)
    assert missed is not None
    told = [msgspec.json.decode(each.data) for each in missed]
    kinds = [each["type"] for each in told]
    assert sorted(kinds) == ["notification", "removed", "removed", "updated"]
    assert "secret" not in str(told)
    [left] = await here.world.inbox("ben")
    assert [each["notification"] for each in told if "notification" in each] == [left] * 2
    assert told[-1]["unread"] == 1


async def test_gathered_likes_shrink_whichever_goes(here: Town) -> None:
    post = await here.post("ben")
    await here.like(post, "ada", "cleo", "dora", "eve")
    assert await here.rings("ben") == [f"Ada and 3 others {LIKED}"]
    [first] = await here.world.inbox("ben")
    for who, left in (
        ("dora", f"Ada and 2 others {LIKED}"),
        ("ada", f"Cleo and 1 other {LIKED}"),
        ("eve", f"Cleo {LIKED}"),
    ):
        await here.ask(who, "DELETE", f"posts/{post}/like")
        assert await here.rings("ben") == [left]
        [one] = await here.world.inbox("ben")
        assert (one["id"], one["number"]) == (first["id"], first["number"])
        assert here.world.socket("ben")[-1]["notification"] == one
        counts = await here.ask("ben", "GET", "notifications/counts")
        assert counts == {"unseen": 1, "unread": 1}
    await here.ask("cleo", "DELETE", f"posts/{post}/like")
    await _gone(here)
    types = [each["type"] for each in here.world.socket("ben")]
    assert types.count("notification") == 1
    assert await here.world.pool.value("select count(*) from notifications.gathered") == 0


async def test_who_likes_again_is_counted_again(here: Town) -> None:
    post = await here.post("ben")
    await here.like(post, "ada", "cleo", "dora")
    await here.heard()
    for who in ("ada", "dora"):
        await here.ask(who, "DELETE", f"posts/{post}/like")
        await here.heard()
    assert await here.rings("ben") == [f"Cleo {LIKED}"]
    await here.like(post, "dora", "ada")
    assert await here.rings("ben") == [f"Cleo and 2 others {LIKED}"]


async def test_stories_tell_who_left_and_who_stayed_and_no_gone_words(here: Town) -> None:
    post = await here.post("ben", "a secret")
    await here.like(post, "ada", "cleo")
    await here.heard()
    await here.ask("ada", "DELETE", f"posts/{post}/like")
    await here.heard()
    ben = here.world.ids["ben"]
    stories = [
        await here.world.all.traces.event(f"nova:like:{post}:{here.world.ids[who]}:{ben}")
        for who in ("ada", "cleo")
    ]
    assert [(each.outcome, each.reason) for each in stories] == [
        ("suppressed", "left"),
        ("stored", None),
    ]
    await _do(here, "ben", "DELETE", f"posts/{post}")
    await _gone(here)
    story = await here.world.all.traces.event(stories[1].event_id)
    assert (story.outcome, story.reason) == ("removed", "withdrawn")
    assert "secret" not in str(story)


async def test_a_crowd_leaves_at_once(here: Town) -> None:
    crowd = [f"Fan{number}" for number in range(12)]
    await here.world.meet(*crowd)
    post = await here.post("ben")
    await here.like(post, *(name.lower() for name in crowd))
    assert await here.rings("ben") == [f"Fan0 and 11 others {LIKED}"]
    for name in crowd[:-1]:
        await here.ask(name.lower(), "DELETE", f"posts/{post}/like")
    assert await here.rings("ben") == [f"Fan11 {LIKED}"]
    await _do(here, "ben", "DELETE", f"posts/{post}")
    await _gone(here)


async def test_what_is_taken_back_by_one_leaves_what_others_did(here: Town) -> None:
    post = await here.post("ben")
    comment = await here.comment("ada", post, "a secret")
    await here.comment("cleo", post, "well")
    await here.like(post, "ada", "dora")
    assert len(await here.rings("ben")) == 3
    await _do(here, "ada", "DELETE", f"comments/{comment}")
    told = [f"Ada and 1 other {LIKED}", "Cleo commented on your post"]
    assert await here.rings("ben") == told
    await here.ask("ada", "PUT", "users/me/blocks/ben")
    told[0] = f"Dora {LIKED}"
    assert await here.rings("ben") == told
    assert here.world.socket("ben")[-1]["unread"] == 2
    assert UUID(here.world.socket("ben")[-1]["notification"]["actor_id"]) == here.world.ids["dora"]


SUBJECTS = """
select id, subject_kind, subject_item, subject_within, subject_owner from notifications.inbox
 order by id
"""
BEFORE = """
update notifications.inbox
   set subject_kind = null, subject_item = null, subject_within = null, subject_owner = null,
       event_id = substr(event_id, 6);
update notifications.suppressed
   set event_id = substr(event_id, 6), rule = replace(rule, 'group of ', 'burst of ');
update backbone.intake set id = substr(id, 6);
delete from notifications.gathered
"""
GATHERED = "select id, into_id, actor_id, event_id from notifications.gathered order by id"
SCHEMA = Path(notifications.__file__).parent / "schema"
SINCE = ("0005_subjects_from_before.sql", "0006_own_ids.sql")


async def test_what_was_stored_before_there_were_subjects_gets_its_own(here: Town) -> None:
    for kind in DEEDS.keys() - {"request"}:
        await DEEDS[kind](here)
    post = await here.post("ben")
    await here.like(post, "ada", "cleo", "dora")
    assert len(await here.rings("ben")) == len(DEEDS)
    pool = here.world.pool
    made = [list(map(tuple, await pool.fetch(each))) for each in (SUBJECTS, GATHERED)]
    for statements in (BEFORE, *((SCHEMA / name).read_text() for name in SINCE)):
        await pool.run(statements)
    assert [list(map(tuple, await pool.fetch(each))) for each in (SUBJECTS, GATHERED)] == made
    await here.ask("ada", "DELETE", f"posts/{post}/like")
    assert f"Cleo and 1 other {LIKED}" in await here.rings("ben")
