"""What rings: likes, comments, replies and mentions, and what does not."""

from datetime import UTC, datetime

from nova.kernel.clock import ManualClock
from support.notified import SERVER, event
from support.posted import Town, town
from support.postgres import PACKAGE

OWN_IDS = PACKAGE / "features/notifications/schema/0006_own_ids.sql"
TEN = ["Ann", "Bea", "Cem", "Dan", "Eli", "Fay", "Gus", "Hal", "Ida", "Jo"]


async def test_a_post_comes_into_feeds_and_its_like_rings(here: Town) -> None:
    await here.follow("ada", "ben")
    post = await here.post("ben", "a photo of the harbour")
    assert await here.feed("ada") == ["a photo of the harbour"]
    await here.like(post, "ada")
    assert await here.rings("ben") == ["Ada liked your post", "Ada follows you"]
    [like, _] = await here.world.inbox("ben")
    assert like["body"] == "a photo of the harbour"
    assert like["related_entity_id"] == post


async def test_ten_likes_in_a_burst_ring_once(here: Town) -> None:
    await here.world.meet(*TEN)
    post = await here.post("ben")
    await here.like(post, *(name.lower() for name in TEN))
    assert await here.rings("ben") == ["Ann and 9 others liked your post"]
    [only] = await here.world.inbox("ben")
    assert only["others"] == 9
    arrived = [each for each in here.world.socket("ben") if each["type"] == "notification"]
    assert len(arrived) == 1
    counts = await here.ask("ben", "GET", "notifications/counts")
    assert counts == {"unseen": 1, "unread": 1}
    assert here.world.socket("ben")[-1]["unread"] == 1
    assert await here.snapshot("ben") == {only["id"]: only}
    stories = [
        await here.world.all.traces.event(
            f"nova:like:{post}:{here.world.ids[name.lower()]}:{here.world.ids['ben']}"
        )
        for name in TEN
    ]
    assert [story.reason for story in stories] == [None] + ["joined"] * 9


async def test_a_title_of_several_may_name_the_recipient(here: Town) -> None:
    many = "{recipient.name}, {actor.name} and {others} like it"
    words = {"en": {"title": "{recipient.name}, {actor.name} likes it", "many": many}}
    await here.ask(SERVER, "PUT", "notification-types/like", json={"templates": words})
    post = await here.post("ben")
    await here.like(post, "ada", "cleo")
    assert await here.rings("ben") == ["Ben, Ada and 1 other like it"]


async def test_a_like_after_the_bell_was_read_rings_anew(here: Town) -> None:
    post = await here.post("ben")
    await here.like(post, "ada")
    assert await here.rings("ben") == ["Ada liked your post"]
    await here.ask("ben", "POST", "notifications/marks", json={"mark": "read", "all": True})
    await here.like(post, "cleo", "dora")
    assert await here.rings("ben") == ["Cleo and 1 other liked your post", "Ada liked your post"]
    counts = await here.ask("ben", "GET", "notifications/counts")
    assert counts == {"unseen": 1, "unread": 1}


async def test_a_burst_is_over_when_its_time_is(dsn: str) -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    async with town(dsn, clock, burst_s=60.0) as here:
        post = await here.post("ben")
        await here.like(post, "ada")
        await here.heard()
        clock.advance(61)
        await here.like(post, "cleo")
        assert await here.rings("ben") == ["Cleo liked your post", "Ada liked your post"]


async def test_bursts_are_told_in_the_readers_language(here: Town) -> None:
    await here.world.meet("Greta", locale="de-AT")
    post = await here.post("greta")
    await here.like(post, "ada", "ben", "cleo")
    assert await here.rings("greta") == ["Ada und 2 weiteren gefällt dein Beitrag"]


async def test_nobody_joins_what_names_somebody_who_is_muted(here: Town) -> None:
    post = await here.post("ben")
    await here.like(post, "ada", "cleo")
    assert await here.rings("ben") == ["Ada and 1 other liked your post"]
    await here.ask("ben", "PUT", "users/me/mutes/ada")
    await here.like(post, "dora", "eve")
    told = ["Dora and 1 other liked your post", "Ada and 1 other liked your post"]
    assert await here.rings("ben") == told


async def test_an_unlike_before_delivery_rings_nothing(dsn: str) -> None:
    async with town(dsn) as here:
        post = await here.post("ben")
        async with here.world.db.transaction() as tx:  # holds the log's readers back
            await tx.value("select pg_current_xact_id()")
            await here.like(post, "ada", "cleo")
            await here.ask("ada", "DELETE", f"posts/{post}/like")
            comment = await here.comment("dora", post)
            await here.ask("dora", "DELETE", f"comments/{comment}", status=204)
        assert await here.rings("ben") == ["Cleo liked your post"]
        await here.like(post, "ada")
        assert await here.rings("ben") == ["Cleo and 1 other liked your post"]


async def _decide_anew(here: Town, event: str) -> None:
    """Have an event decided as it is when the pipeline is behind: accepted, not told yet."""
    pool = here.world.pool
    record = await pool.value("select record from backbone.intake where id = $1", event)
    await pool.run("delete from notifications.inbox where id = $1", record)
    await pool.run("update notifications.boxes set unseen = 0, unread = 0")
    await pool.run(
        "insert into backbone.event_log (topic, key, partition, id, type, payload)"
        " select topic, key, partition, id, type, payload from backbone.event_log where id = $1",
        record,
    )


async def test_a_like_that_was_gone_when_it_was_decided_may_ring_yet(here: Town) -> None:
    post = await here.post("ben")
    ada, ben = here.world.ids["ada"], here.world.ids["ben"]
    await here.like(post, "ada")
    await here.heard()
    event = f"nova:like:{post}:{ada}:{ben}"
    await here.ask("ada", "DELETE", f"posts/{post}/like")
    await _decide_anew(here, event)
    await here.like(post, "cleo")  # rings the doorbell
    assert await here.rings("ben") == ["Cleo liked your post"]
    story = await here.world.all.traces.event(event)
    assert (story.outcome, story.reason) == ("suppressed", "gone")
    await here.like(post, "ada")
    assert await here.rings("ben") == ["Cleo and 1 other liked your post"]


async def test_a_mention_that_was_gone_when_it_was_decided_may_ring_yet(here: Town) -> None:
    post = await here.post("ada", "with @ben")
    await here.heard()
    await here.ask("ada", "PATCH", f"posts/{post}", json={"text": "alone"})
    ada, ben = here.world.ids["ada"], here.world.ids["ben"]
    await _decide_anew(here, f"nova:mention:{post}:{ada}:{ben}")
    await here.post("cleo", "@ben")  # rings the doorbell
    assert await here.rings("ben") == ["Cleo mentioned you"]
    await here.ask("ada", "PATCH", f"posts/{post}", json={"text": "with @ben, after all"})
    assert await here.rings("ben") == ["Ada mentioned you", "Cleo mentioned you"]


async def test_who_likes_again_and_again_rings_once(here: Town) -> None:
    post = await here.post("ben")
    for _ in range(3):
        await here.like(post, "ada")
        await here.heard()
        await here.ask("ada", "DELETE", f"posts/{post}/like")
    assert await here.rings("ben") == []
    said = [each["type"] for each in here.world.socket("ben")]
    assert said == ["notification", "removed"]


async def test_nobody_is_told_of_what_they_did_themselves(here: Town) -> None:
    post = await here.post("ben", "I am @ben")
    await here.like(post, "ben")
    await here.comment("ben", post, "me again, @ben")
    assert await here.rings("ben") == []


async def test_comments_replies_and_mentions_ring_each_person_once(here: Town) -> None:
    post = await here.post("ada", "with @ben")
    comment = await here.comment("cleo", post, "hello @ada and @dora")
    await here.comment("eve", post, "@cleo, yes", reply_to=comment)
    await here.comment("ada", post, "thank you", reply_to=comment)
    assert await here.rings("ada") == ["Eve commented on your post", "Cleo commented on your post"]
    assert await here.rings("ben") == ["Ada mentioned you"]
    assert await here.rings("cleo") == [
        "Ada replied to your comment",
        "Eve replied to your comment",
    ]
    assert await here.rings("dora") == ["Cleo mentioned you"]
    [mention] = await here.world.inbox("dora")
    assert mention["metadata"] == {"post": post, "comment": comment, "text": "hello @ada and @dora"}


async def test_an_edit_tells_only_who_is_named_anew(here: Town) -> None:
    post = await here.post("ada", "with @ben")
    await here.ask("ada", "PATCH", f"posts/{post}", json={"text": "with @ben and @cleo"})
    assert await here.rings("ben") == ["Ada mentioned you"]
    assert await here.rings("cleo") == ["Ada mentioned you"]


async def test_an_edited_comment_tells_only_who_is_named_anew(here: Town) -> None:
    post = await here.post("ada")
    comment = await here.comment("dora", post, "with @ben")
    await here.ask("dora", "PATCH", f"comments/{comment}", json={"text": "@ben, @cleo, @dora"})
    assert await here.rings("ada") == ["Dora commented on your post"]
    assert await here.rings("ben") == ["Dora mentioned you"]
    assert await here.rings("cleo") == ["Dora mentioned you"]
    assert await here.rings("dora") == []


async def test_who_may_not_see_a_post_is_not_told_of_it(here: Town) -> None:
    await here.follow("cleo", "ada")
    await here.post("ada", "@ben and @cleo", visibility="followers")
    assert await here.rings("cleo") == ["Ada mentioned you"]
    assert await here.rings("ben") == []


async def test_likes_from_the_backend_name_who_likes(here: Town) -> None:
    post = await here.post("ben")
    await here.ask(SERVER, "PUT", f"posts/{post}/like", params={"user": "ada"})
    refused = await here.ask(SERVER, "PUT", f"posts/{post}/like", status=422)
    assert refused["code"] == "who_acts"
    assert await here.rings("ben") == ["Ada liked your post"]


async def test_an_unlike_takes_back_what_rang(here: Town) -> None:
    post = await here.post("ben")
    await here.like(post, "ada")
    assert await here.rings("ben") == ["Ada liked your post"]
    await here.ask("ada", "DELETE", f"posts/{post}/like")
    assert await here.rings("ben") == []
    assert await here.ask("ben", "GET", "notifications/counts") == {"unseen": 0, "unread": 0}
    assert here.world.socket("ben")[-1]["type"] == "removed"


async def test_ids_of_the_app_and_of_nova_never_meet(here: Town) -> None:
    ada, ben = here.world.ids["ada"], here.world.ids["ben"]
    post = await here.post("ben")
    ours = [f"follow:{ada}:{ben}", f"like:{post}:{ada}:{ben}"]
    taken = await here.world.send(*(event(id_, recipient_id="cleo") for id_ in ours))
    assert taken.accepted == 2
    refused = await here.world.send(*(event(f"nova:{id_}", recipient_id="cleo") for id_ in ours))
    assert {each.problem["code"] for each in refused.results if each.problem} == {"reserved_id"}
    assert [each.index for each in refused.results] == [0, 1]
    await here.follow("ada", "ben")
    await here.like(post, "ada")
    assert len(await here.rings("ben")) == 2
    for id_ in ours:
        assert (await here.world.all.traces.event(id_)).recipient == str(here.world.ids["cleo"])
        assert (await here.world.all.traces.event(f"nova:{id_}")).recipient == str(ben)
        await here.world.all.retraction.retract(id_)
    assert len(await here.rings("ben")) == 2
    assert await here.rings("cleo") == []
    await here.ask("ada", "DELETE", f"posts/{post}/like")
    assert len(await here.rings("ben")) == 1


async def test_events_of_before_are_told_apart_by_what_they_stand_on(here: Town) -> None:
    ada, ben = here.world.ids["ada"], here.world.ids["ben"]
    post = await here.post("ben")
    apps = f"like:{post}:{ben}:{ada}"
    await here.world.send(event(apps, recipient_id="cleo"))
    await here.follow("ada", "ben")
    await here.like(post, "ada")
    await here.ask("ben", "PUT", "users/me/mutes/dora", json={})
    await here.like(post, "dora")
    assert len(await here.rings("ben")) == 2
    own = "select event_id from {} where event_id like 'nova:%'"
    tables = ("notifications.inbox", "notifications.suppressed")
    before = [len(await here.world.pool.fetch(own.format(table))) for table in tables]
    for statement in (
        "update backbone.intake set id = substr(id, 6) where id like 'nova:%'",
        *(f"update {table} set event_id = replace(event_id, 'nova:', '')" for table in tables),  # noqa: S608  # both named above
        OWN_IDS.read_text("utf-8"),
    ):
        await here.world.pool.run(statement)
    after = [len(await here.world.pool.fetch(own.format(table))) for table in tables]
    assert after == before
    assert (await here.world.all.traces.event(apps)).outcome == "stored"
    for id_ in (f"follow:{ada}:{ben}", f"like:{post}:{ada}:{ben}"):
        assert (await here.world.all.traces.event(f"nova:{id_}")).outcome == "stored"
    await here.ask("ada", "DELETE", f"posts/{post}/like")
    assert len(await here.rings("ben")) == 1
