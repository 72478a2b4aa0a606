"""One spelling for each address of a device, and none for what can never be reached."""

from base64 import b64encode, urlsafe_b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova.adapters.postgres.pool import PostgresPool, open_pool
from nova.adapters.webpush.encryption import BadKeys, browser
from nova.features.accounts import push_addresses
from nova.features.accounts.models import NewDevice, SubscriptionKeys, WebSubscription
from nova.kernel.errors import InvalidField
from nova.wire.addresses import Guard
from support.delivered import BROWSER
from support.postgres import PACKAGE

HERE = Guard(also=["10.1.0.0/16"])
MIGRATION = PACKAGE / "features/accounts/schema/0006_one_spelling.sql"


def web(endpoint: str = "https://push.example/abc", **keys: str) -> NewDevice:
    chosen = {"p256dh": BROWSER.p256dh, "auth": BROWSER.auth} | keys
    subscription = WebSubscription(endpoint, SubscriptionKeys(**chosen))
    return NewDevice(platform="web", subscription=subscription)


def spelled(new: NewDevice) -> Any:
    return push_addresses.device(new, HERE)


def test_a_device_has_a_token_or_on_the_web_a_subscription() -> None:
    token, given = "6f" * 32, web().subscription
    assert spelled(NewDevice(platform="ios", token=token, locale="EN_us")).locale == "en-US"
    for wrong in (
        NewDevice(platform="web", token=token),
        NewDevice(platform="ios"),
        NewDevice(platform="android", subscription=given),
        NewDevice(platform="ios", token=token, subscription=given),
    ):
        with pytest.raises(InvalidField):
            spelled(wrong)


@given(st.binary(min_size=32, max_size=100))
def test_a_token_of_apns_is_in_lower_case(token: bytes) -> None:
    for text in (token.hex(), token.hex().upper()):
        assert spelled(NewDevice(platform="ios", token=text)).token == token.hex()


@pytest.mark.parametrize("token", ["6f" * 31, "6f" * 32 + "6", "6f" * 101, "6g" * 32, "phone"])
def test_what_apns_never_gave_is_refused(token: str) -> None:
    with pytest.raises(InvalidField, match="64 to 200 hexadecimal digits"):
        spelled(NewDevice(platform="ios", token=token))


@pytest.mark.parametrize("platform", ["ios", "android"])
def test_a_token_of_fcm_stays_as_it_is(platform: Any) -> None:
    token = "cRx_9-Zq:APA91bH" + "Ab1" * 40
    assert spelled(NewDevice(platform=platform, token=token)).token == token


@pytest.mark.parametrize(
    "endpoint",
    [
        "HTTPS://Push.Example/A?b",
        "https://push.example:443/A?b",
        "https://push.example:0443/A?b#top",
        "https://push.example./A?b",
        "https://ＰＵＳＨ.example/A?b",
        "https://push.example/./x/../%2E/A?b",
    ],
)
def test_spellings_of_an_endpoint_are_one(endpoint: str) -> None:
    assert spelled(web(endpoint)).subscription.endpoint == "https://push.example/A?b"


@pytest.mark.parametrize(
    ("endpoint", "one"),
    [
        ("https://bücher.example/x", "https://xn--bcher-kva.example/x"),
        ("https://push.example", "https://push.example/"),
        ("https://push.example/../a/b/..?x=/../y", "https://push.example/a/?x=/../y"),
        ("https://push.example/a//b/.", "https://push.example/a//b/"),
        ("https://push.example:8443", "https://push.example:8443/"),
        ("https://[2606:4700:0:0::1]/x", "https://[2606:4700::1]/x"),
        ("https://10.1.2.3/ours", "https://10.1.2.3/ours"),
    ],
)
def test_an_endpoint_is_spelled_as_browsers_do(endpoint: str, one: str) -> None:
    assert spelled(web(endpoint)).subscription.endpoint == one
    assert spelled(web(one)).subscription.endpoint == one


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        ("https:///x", "names no host"),
        ("https://?x", "names no host"),
        ("https://:443/", "names no host"),
        ("http://push.example/x", "only https"),
        ("https://ada:secret@push.example/", "name or password"),
        ("https://push.example:0/", "no such port"),
        ("https://push.example:99999/", "no such port"),
        ("https://push.example/" + "x" * 2048, "longer than"),
        ("https://push..example/", "no name of a host"),
        ("https://-push.example/", "no name of a host"),
        ("https://" + "x" * 64 + ".example/", "no name of a host"),
        ("https://push.example\\@evil.example/", "."),
        *(
            (f"https://{host}/", "not public")
            for host in (
                "10.0.0.1",
                "127.0.0.1",
                "169.254.169.254",
                "192.168.1.1",
                "[::1]",
                "[fd00::1]",
                "[::ffff:10.0.0.1]",
                "0.0.0.1",
                "localhost",
                "a.localhost",
                "100.64.0.1",
            )
        ),
        *(
            (f"https://{host}/", "usual form")
            for host in (
                "2130706433",
                "127.1",
                "0x7f.0.0.1",
                "0177.0.0.1",
                "127.0.0.1.1",
                "１２７.1",
            )
        ),
    ],
)
def test_an_endpoint_that_can_never_be_reached_is_refused(endpoint: str, why: str) -> None:
    with pytest.raises(InvalidField, match=why) as caught:
        spelled(web(endpoint))
    assert caught.value.extra["at"] == "$.subscription.endpoint"


@pytest.mark.parametrize("host", ["x", "push.local", "push.internal", "push.home.arpa", "a.onion"])
def test_a_name_that_the_public_dns_has_not_is_for_networks_of_ones_own(host: str) -> None:
    endpoint = f"https://{host}/x"
    assert spelled(web(endpoint)).subscription.endpoint == endpoint
    with pytest.raises(InvalidField, match="not public"):
        push_addresses.device(web(endpoint), Guard())


def test_keys_are_spelled_without_padding_in_one_alphabet() -> None:
    point = urlsafe_b64decode(BROWSER.p256dh + "=")
    padded = b64encode(point).decode()
    keys = spelled(web(p256dh=padded, auth=BROWSER.auth + "==")).subscription.keys
    assert keys == BROWSER


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [
        ("BPk", BROWSER.auth),
        (BROWSER.p256dh[:-4] + "AAAA", BROWSER.auth),
        ("A" + BROWSER.p256dh[1:], BROWSER.auth),
        ("BP" + "_" * 85, BROWSER.auth),
        (BROWSER.p256dh, "aXk"),
        (BROWSER.p256dh, BROWSER.auth + "AA"),
        (BROWSER.p256dh, "="),
    ],
)
def test_keys_that_no_browser_made_are_refused(p256dh: str, auth: str) -> None:
    with pytest.raises(InvalidField, match="base64url"):
        spelled(web(p256dh=p256dh, auth=auth))
    with pytest.raises(BadKeys):  # as sending would find
        browser(p256dh, auth)


async def test_devices_of_before_are_merged_by_their_spelling(dsn: str) -> None:
    async with open_pool(dsn, size=2) as pool:
        user = await pool.value(
            "insert into accounts.users (id) values (gen_random_uuid()) returning id"
        )
        old = [
            ("ios", "AB" * 32, 3),
            ("ios", "ab" * 32, 1),
            ("ios", "cRx:Ab", 1),
            ("web", "https://Push.Example:443/x", 1),
            ("web", "https://push.example/x#y", 2),
            ("web", "https:///x", 1),
            ("android", "Ab:Cd", 1),
        ]
        for platform, token, age in old:
            await add(pool, user, platform, token, age)
        await pool.run(MIGRATION.read_text("utf-8"))
        rows = await pool.fetch("select platform, token, dead_reason from accounts.devices")
        left = {(row["platform"], row["token"]) for row in rows}
        assert left == {
            ("ios", "ab" * 32),
            ("ios", "cRx:Ab"),
            ("web", "https://push.example/x"),
            ("web", "https:///x"),
            ("android", "Ab:Cd"),
        }
        assert [row["token"] for row in rows if row["dead_reason"]] == ["https:///x"]
        assert await pool.value(
            "select bool_and(address = sha256(convert_to(token, 'UTF8'))) from accounts.devices"
        )


async def add(pool: PostgresPool, user: Any, platform: str, token: str, age: int) -> None:
    await pool.run(
        """
insert into accounts.devices (id, user_id, platform, app, address, token, p256dh, auth, seen_at)
values (gen_random_uuid(), $1, $2, 'default', sha256(convert_to($3, 'UTF8')), $3, 'k==', 'a',
        now() - make_interval(hours => $4))
""",
        user,
        platform,
        token,
        age,
    )
