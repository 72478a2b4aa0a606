"""Keys and tokens become actors, and stop being them, in every process."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from time import time
from typing import Any
from uuid import UUID

import pytest

from nova.adapters.postgres.pool import open_pool
from nova.features.accounts.models import Change, Revocation
from nova.kernel.clock import ManualClock
from nova.kernel.errors import Invalid, NotFound, Unauthenticated
from nova.kernel.ids import new_id
from nova.web.actors import ServerKey, User
from nova.web.auth import MOST_WAITING, KeysBusy, KeyUnknown, Suspended, TokenRevoked
from nova.web.tokens import TokenInvalid, mint
from support.accounts import SECRET, Process
from support.waiting import until


@pytest.fixture
async def here(dsn: str) -> AsyncIterator[Process]:
    async with open_pool(dsn, size=4) as pool:
        process = Process(pool)
        await process.start()
        yield process


@pytest.fixture
async def there(dsn: str) -> AsyncIterator[Process]:
    """Another process of the same deployment, with caches of its own."""
    async with open_pool(dsn, size=4) as pool:
        process = Process(pool)
        await process.start()
        yield process


def token(sub: str, **claims: Any) -> str:
    return mint(SECRET, sub, **claims)


def header(token: str) -> str:
    return f"Bearer {token}"


async def forgotten(process: Process, token: str) -> None:
    """Wait until a process no longer takes a token's word from memory."""

    async def unknown() -> bool:
        return process.auth.known(header(token)) is None

    await until(unknown)


async def test_a_token_may_name_its_user_by_either_id(here: Process) -> None:
    ada = await here.user("ada")
    for sub in ("ada", str(ada.id), str(ada.id).upper()):
        actor = await here.auth.bearer(header(token(sub, jti="one", device="phone")))
        assert isinstance(actor, User)
        assert (actor.id, actor.token, actor.device) == (ada.id, "one", "phone")


async def test_a_verified_header_is_known_without_waiting(here: Process) -> None:
    ada = await here.user("ada")
    hers = token("ada")
    assert here.auth.known(header(hers)) is None
    await here.auth.user(hers)
    known = here.auth.known(header(hers))
    assert isinstance(known, User)
    assert known.id == ada.id
    key = (await here.credentials.create_key("backend")).secret
    assert here.auth.known(header(key)) is None
    await here.auth.bearer(header(key))
    assert isinstance(here.auth.known(header(key)), ServerKey)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "nova_sk_x",
        "Bearer nova_sk_",
        "Bearer nova_sk_" + "x" * 500,
        "Bearer nova_sk_ä",
        "Bearer a.b.c",
        "Bearer \xff.\xff.\xff",
    ],
)
async def test_other_headers_are_nobodys(here: Process, authorization: str) -> None:
    assert here.auth.known(authorization) is None
    with pytest.raises(Unauthenticated):
        await here.auth.bearer(authorization)


async def test_an_unknown_sub_is_refused_with_the_way_out(here: Process) -> None:
    with pytest.raises(TokenInvalid, match=r"POST /v1/users.*tokens\.create_users") as caught:
        await here.auth.user(token("nobody"))
    assert caught.value.claim == "sub"


async def test_tokens_may_create_their_users_each_once(dsn: str) -> None:
    async with open_pool(dsn, size=8) as pool:
        processes = [Process(pool, creates=True) for _ in range(4)]
        hers = [token("ada", jti=str(number)) for number in range(20)]
        users = await asyncio.gather(
            *(processes[at % 4].auth.user(one) for at, one in enumerate(hers))
        )
        assert len({user.id for user in users}) == 1
        assert await pool.value("select count(*) from accounts.users") == 1
        assert await pool.value("select count(*) from backbone.event_log") == 1


async def test_a_token_does_not_bring_back_an_erased_user(dsn: str) -> None:
    async with open_pool(dsn, size=4) as pool:
        process = Process(pool, creates=True)
        await process.start()
        first = await process.auth.user(token("zoe"))
        by_id = token(str(first.id))
        await process.auth.user(by_id)
        await process.accounts.delete(first.id)
        for old in (by_id, token("zoe", jti="later")):
            await forgotten(process, old)
            with pytest.raises(TokenRevoked, match="erased"):
                await process.auth.user(old)
        anew = await process.user("zoe")
        assert (await process.auth.user(token("zoe"))).id == anew.id != first.id
        left = await pool.fetch("select token from accounts.revoked")
        assert not any("zoe" in row["token"] for row in left)


@pytest.mark.parametrize("sub", ["me", "bulk", "line\nbreak"])
async def test_a_token_creates_no_user_that_a_path_could_not_name(dsn: str, sub: str) -> None:
    async with open_pool(dsn, size=2) as pool:
        with pytest.raises(Invalid):
            await Process(pool, creates=True).auth.user(token(sub))


async def test_a_nova_id_wins_over_an_external_id_that_looks_like_it(here: Process) -> None:
    ada = await here.user("ada")
    await here.user(str(ada.id))
    assert await here.auth.resolve(str(ada.id)) == ada.id


async def test_a_revoked_key_stops_in_every_process(here: Process, there: Process) -> None:
    made = await here.credentials.create_key("backend")
    for process in (here, there):
        await process.auth.bearer(header(made.secret))
    await here.credentials.revoke_key(made.id)
    for process in (here, there):
        await forgotten(process, made.secret)
        with pytest.raises(KeyUnknown):
            await process.auth.bearer(header(made.secret))
    with pytest.raises(NotFound):
        await here.credentials.revoke_key(made.id)


async def test_a_new_key_counts_at_once_in_a_process_that_knew_the_others(
    here: Process, there: Process
) -> None:
    with pytest.raises(KeyUnknown):
        await there.auth.bearer(header("nova_sk_guess"))
    made = await here.credentials.create_key("backend")
    assert isinstance(await there.auth.bearer(header(made.secret)), ServerKey)


class CountedKeys:
    """No keys, and how often they were asked for."""

    def __init__(self) -> None:
        self.asked = 0

    async def active(self) -> dict[bytes, ServerKey]:
        self.asked += 1
        return {}

    async def used(self, uses: Mapping[UUID, datetime]) -> None:
        raise AssertionError(uses)


async def test_guessing_keys_does_not_query_the_database_for_each_guess(here: Process) -> None:
    keys = CountedKeys()
    here.auth._keys = keys

    async def guess(number: int) -> bool:
        with pytest.raises((KeyUnknown, KeysBusy)) as refusal:
            await here.auth.bearer(header(f"nova_sk_{number}"))
        return isinstance(refusal.value, KeysBusy)

    busy = await asyncio.gather(*(guess(number) for number in range(500)))
    assert keys.asked <= 2
    assert 300 < sum(busy) < 500


async def test_whoever_guesses_keys_does_not_keep_a_known_one_waiting(here: Process) -> None:
    known = header((await here.credentials.create_key("backend")).secret)
    await here.auth.bearer(known)
    for _ in range(2):
        guesses = [
            asyncio.create_task(here.auth.bearer(header(f"nova_sk_{number}")))
            for number in range(2 * MOST_WAITING)
        ]
        await asyncio.sleep(0)
        assert isinstance(await here.auth.bearer(known), ServerKey)
        await asyncio.gather(*guesses, return_exceptions=True)
        here.auth.forget_keys(None)  # all are loaded anew, the known one too


class CountedRevocations:
    """Tokens that were all revoked, and how often that was asked."""

    asked = 0

    async def revoked(self, _token: str) -> bool:
        self.asked += 1
        return True


async def test_a_revoked_token_that_is_sent_again_and_again_costs_the_database_nothing(
    here: Process,
) -> None:
    ada = await here.user("ada")
    revocations = here.auth._revocations = CountedRevocations()
    hers = token("ada")

    async def refused(times: int) -> None:
        for _ in range(times):
            with pytest.raises(TokenRevoked):
                await here.auth.user(hers)

    here.auth._clock = clock = ManualClock(datetime.now(UTC))
    await refused(20)
    assert revocations.asked == 1
    here.auth.forget_users(str(ada.id))
    await refused(20)
    assert revocations.asked == 2
    clock.advance(1.0)
    await refused(20)
    assert revocations.asked == 3


async def test_a_keys_use_is_noted_now_and_then_at_no_cost_to_requests(
    here: Process, there: Process
) -> None:
    made = await here.credentials.create_key("backend")
    asked = header(made.secret)

    async def used_at() -> datetime | None:
        await asyncio.gather(here.auth.note(), there.auth.note())
        [key] = await here.credentials.keys()
        return key.used_at

    assert await used_at() is None
    await asyncio.gather(here.auth.bearer(asked), there.auth.bearer(asked))
    first = await used_at()
    assert first is not None
    assert here.auth.known(asked) is None  # so it is seen again
    assert await used_at() == first
    await here.auth.bearer(asked)
    assert here.auth.known(asked) is not None
    second = await used_at()
    assert second is not None
    assert second > first


@pytest.mark.parametrize("by", ["jti", "token"])
async def test_a_revoked_token_stops_in_every_process(
    here: Process, there: Process, by: str
) -> None:
    await here.user("ada")
    hers, other = token("ada", jti="a"), token("ada", jti="b")
    plain = token("ada")
    revoked = hers if by == "jti" else plain
    for process in (here, there):
        for one in (hers, other, plain):
            await process.auth.user(one)
    what = Revocation(jti="a") if by == "jti" else Revocation(token=plain)
    await here.credentials.revoke(what)
    for process in (here, there):
        await forgotten(process, revoked)
        with pytest.raises(TokenRevoked):
            await process.auth.user(revoked)
        await process.auth.user(other)


async def test_all_tokens_of_a_user_stop_but_later_ones_count(
    here: Process, there: Process
) -> None:
    ada = await here.user("ada")
    await here.user("ben")
    before, undated, bens = token("ada"), token("ada", iat=None), token("ben")
    for process in (here, there):
        for one in (before, undated, bens):
            await process.auth.user(one)
    await here.credentials.revoke(Revocation(user="ada"))
    for process in (here, there):
        for one in (before, undated):
            await forgotten(process, one)
            with pytest.raises(TokenRevoked):
                await process.auth.user(one)
        assert process.auth.known(header(bens)) is not None
        later = token("ada", iat=time() + 0.002)
        assert (await process.auth.user(later)).id == ada.id


async def test_a_suspended_user_is_out_at_once_and_may_come_back(
    here: Process, there: Process
) -> None:
    ada = await here.user("ada")
    hers = token("ada")
    await there.auth.user(hers)
    await here.accounts.change(ada.id, Change(suspended=True), by_server=True)
    await forgotten(there, hers)
    with pytest.raises(Suspended):
        await there.auth.user(hers)
    await here.accounts.change(ada.id, Change(suspended=False), by_server=True)

    async def back() -> bool:
        try:
            return bool(await there.auth.user(hers))
        except Suspended:
            return False

    await until(back)


async def test_a_deleted_users_token_stops(here: Process, there: Process) -> None:
    ada = await here.user("ada")
    hers = token("ada")
    await there.auth.user(hers)
    await here.accounts.delete(ada.id)
    await forgotten(there, hers)
    with pytest.raises(TokenInvalid) as caught:
        await there.auth.user(hers)
    assert caught.value.claim == "sub"


class SlowRevocations:
    """Answers only when let go, with what was true when it was asked."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self.those: set[str] = set()

    async def revoked(self, token: str) -> bool:
        answer = token in self.those
        self.asked.set()
        await self.go.wait()
        return answer


@pytest.mark.parametrize("claims", [{}, {"channel": "chat:1"}])
async def test_a_revocation_during_verification_is_not_overlooked(
    here: Process, claims: dict[str, Any]
) -> None:
    await here.user("ada")
    slow = here.auth._revocations = SlowRevocations()
    verify = here.auth.subscription if claims else here.auth.user
    verifying = asyncio.create_task(verify(token("ada", jti="a", **claims)))
    await slow.asked.wait()
    slow.those.add("a")
    here.auth.forget_tokens("a")
    slow.go.set()
    with pytest.raises(TokenRevoked):
        await verifying


async def test_a_change_during_verification_is_not_remembered_over(here: Process) -> None:
    await here.user("ada")
    slow = here.auth._revocations = SlowRevocations()
    hers = token("ada", jti="a")
    verifying = asyncio.create_task(here.auth.user(hers))
    await slow.asked.wait()
    here.auth.forget_tokens("a")
    slow.go.set()
    await verifying
    assert here.auth.known(header(hers)) is None


async def test_word_that_signals_were_missed_empties_every_memory(here: Process) -> None:
    await here.user("ada")
    hers, key = token("ada"), (await here.credentials.create_key("backend")).secret
    await here.auth.user(hers)
    await here.auth.bearer(header(key))
    here.signals.forget()
    assert here.auth.known(header(hers)) is None
    assert here.auth.known(header(key)) is None
    await here.auth.user(hers)
    await here.auth.bearer(header(key))


async def test_a_remembered_token_expires(here: Process) -> None:
    await here.user("ada")
    brief = token("ada", exp=time() - 4)  # within the leeway, so verified, but not remembered
    await here.auth.user(brief)
    assert here.auth.known(header(brief)) is None


async def test_a_subscription_token_opens_its_channel_until_it_is_revoked(here: Process) -> None:
    ada = await here.user("ada")
    opens = token("ada", channel="chat:1", jti="a", info={"a": 1})
    opened = await here.auth.subscription(opens)
    assert (opened.user, opened.channel, opened.info) == (ada.id, "chat:1", b'{"a":1}')
    with pytest.raises(TokenInvalid):
        await here.auth.user(opens)
    await here.credentials.revoke(Revocation(jti="a"))
    with pytest.raises(TokenRevoked):
        await here.auth.subscription(opens)
    await here.accounts.change(ada.id, Change(suspended=True), by_server=True)
    with pytest.raises(Suspended):
        await here.auth.subscription(token("ada", channel="chat:1"))


async def test_the_first_key_is_made_once(here: Process, there: Process) -> None:
    made = await asyncio.gather(
        *(process.credentials.first_key() for process in (here, there) for _ in range(3))
    )
    (key,) = [each for each in made if each is not None]
    assert key.secret.startswith("nova_sk_")
    assert isinstance(await there.auth.bearer(header(key.secret)), ServerKey)
    stored = await here.db.fetch("select * from accounts.keys")
    assert key.secret not in str([dict(row.items()) for row in stored])


async def test_thousands_of_references_are_resolved_by_either_id(here: Process) -> None:
    ids: dict[str, UUID] = {}
    for number in range(20):
        user = await here.user(f"user-{number}")
        ids[f"user-{number}"] = ids[str(user.id)] = user.id
    asked = [*ids, "nobody", str(new_id()), "a\0b", "x" * 500, "\ud800"]
    many = await asyncio.gather(*(here.people.resolve(asked) for _ in range(20)))
    assert all(each == ids for each in many)
    profiles = await here.people.profiles([*ids.values(), new_id()])
    assert set(profiles) == set(ids.values())


async def test_a_change_of_a_user_is_seen_in_every_process(here: Process, there: Process) -> None:
    ada = await here.user("ada")
    assert (await there.people.profiles([ada.id]))[ada.id].locale == "en"
    assert await there.people.resolve(["ada"]) == {"ada": ada.id}
    change = Change(external_id="lovelace", locale="fr", timezone="Europe/Paris")
    await here.accounts.change(ada.id, change, by_server=True)
    assert (await here.people.profiles([ada.id]))[ada.id].locale == "fr"

    async def renamed() -> bool:
        return await there.people.resolve(["ada", "lovelace"]) == {"lovelace": ada.id}

    await until(renamed)
    profile = (await there.people.profiles([ada.id]))[ada.id]
    assert (profile.locale, profile.timezone) == ("fr", "Europe/Paris")
