import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import sleep
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from nova.kernel.clock import ManualClock
from nova.web.jwks import MOST_WAITING, InlineKeys, KeysUnavailable, RemoteKeys, _download
from nova.web.tokens import MOST_CHARACTERS, TokenExpired, TokenInvalid, Tokens, mint

SECRET = "a shared secret of thirty-two chars"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
AT = NOW.timestamp()
HMAC = OctKey(SECRET.encode(), SECRET.encode())
KEYS: dict[str, Any] = {
    "RS256": RSAKey.generate_key(2048),
    "ES256": ECKey.generate_key("P-256"),
    "EdDSA": OKPKey.generate_key("Ed25519"),
    "Ed25519": OKPKey.generate_key("Ed25519"),
}


def public(algorithm: str, kid: str) -> dict[str, Any]:
    return {**KEYS[algorithm].as_dict(private=False), "kid": kid}


def jwks(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(algorithm: str, key: Any, claims: dict[str, Any], **header: Any) -> str:
    """Sign whatever is given, wise or not."""
    body = f"{part({'alg': algorithm, **header})}.{part(claims)}"
    signature = jws.JWSRegistry.algorithms[algorithm].sign(body.encode(), key)
    return f"{body}.{part(signature)}"


def claims(**more: Any) -> dict[str, Any]:
    return {"sub": "ada", "exp": AT + 60, **more}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def tokens(clock: ManualClock) -> Tokens:
    return Tokens(
        clock=clock,
        secret=SECRET,
        keys=InlineKeys(jwks(*(public(each, each.lower()) for each in KEYS))),
        audience="nova",
        issuer="shop",
        max_lifetime_s=3600,
    )


def minted(**more: Any) -> str:
    lifetime_s = more.pop("lifetime_s", 3600)
    given = {"sub": "ada", "iat": AT, "aud": "nova", "iss": "shop", **more}
    at = given.pop("at", AT)
    given.setdefault("exp", at + lifetime_s)
    return signed("HS256", HMAC, {name: each for name, each in given.items() if each is not None})


async def test_a_minted_token_names_its_user_and_times(tokens: Tokens) -> None:
    token = await tokens.user(
        mint(SECRET, "ada", at=AT, aud="nova", iss="shop", jti="one", device="phone")
    )
    assert (token.claims.sub, token.id, token.claims.device) == ("ada", "one", "phone")
    assert token.claims.exp == AT + 3600


@pytest.mark.parametrize("algorithm", KEYS)
async def test_public_keys_verify_what_their_private_keys_signed(
    tokens: Tokens, algorithm: str
) -> None:
    given = claims(aud=["other", "nova"], iss="shop")
    token = signed(algorithm, KEYS[algorithm], given, kid=algorithm.lower())
    assert (await tokens.user(token)).claims.sub == "ada"
    stranger = type(KEYS[algorithm]).generate_key()
    with pytest.raises(TokenInvalid) as caught:
        await tokens.user(signed(algorithm, stranger, given, kid=algorithm.lower()))
    assert caught.value.claim == "signature"


BAD: dict[str, tuple[str, str]] = {
    "alg none": (f"{part({'alg': 'none'})}.{part(claims())}.{part(b'x')}", "alg"),
    "alg none without a signature": (f"{part({'alg': 'none'})}.{part(claims())}.", "shape"),
    "alg of another size": (f"{part({'alg': 'HS512'})}.{part(claims())}.{part(b'x')}", "alg"),
    "alg missing": (f"{part({})}.{part(claims())}.{part(b'x')}", "alg"),
    "random kid": (signed("RS256", KEYS["RS256"], claims(), kid="nobody's"), "kid"),
    "crit": (f"{part({'alg': 'HS256', 'crit': ['b64']})}.{part(claims())}.{part(b'x')}", "crit"),
    "expired": (minted(at=AT - 7200), "exp"),
    "exp missing": (minted(exp=None), "exp"),
    "exp as text": (minted(exp="tomorrow"), "exp"),
    "exp negative": (minted(exp=-1), "exp"),
    "exp beyond numbers": (minted(exp=10**400), "exp"),
    "too long a life": (minted(lifetime_s=7200), "exp"),
    "future nbf": (minted(nbf=AT + 60), "nbf"),
    "future iat": (minted(iat=AT + 60), "iat"),
    "wrong aud": (minted(aud="shop"), "aud"),
    "aud missing": (minted(aud=None), "aud"),
    "wrong iss": (minted(iss="nova"), "iss"),
    "sub empty": (minted(sub=""), "sub"),
    "sub missing": (minted(sub=None), "sub"),
    "sub a number": (minted(sub=7), "sub"),
    "sub with NUL": (minted(sub="a\0b"), "sub"),
    "sub too long": (minted(sub="a" * 129), "sub"),
    "a subscription token": (minted(channel="chat:1"), "channel"),
    "another secret": (mint("another secret", "ada", at=AT), "signature"),
    "signature cut": (minted()[:-2], "signature"),
    "signature with strange characters": (minted()[:-2] + "!!", "signature"),
    "claims not JSON": (f"{part({'alg': 'HS256'})}.{part(b'hello')}.{part(b'x')}", "signature"),
    "two parts": ("a.b", "shape"),
    "empty": ("", "shape"),
    "beyond ASCII": ("ä.ö.ü", "shape"),
    "header not base64": ("?.a.b", "header"),
    "header deep": (f"{part(b'[' * 3000)}.a.b", "header"),
    "oversized": (minted(padding="x" * MOST_CHARACTERS), "shape"),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_token_is_refused_and_the_failed_claim_named(tokens: Tokens, case: str) -> None:
    token, claim = BAD[case]
    with pytest.raises(TokenInvalid) as caught:
        await tokens.user(token)
    assert (caught.value.claim, caught.value.status) == (claim, 401)
    failed = [check.name for check in await tokens.explain(token) if not check.passed]
    assert claim in failed or claim == "channel"


async def test_signed_json_of_any_depth_is_refused_not_recursed_into(tokens: Tokens) -> None:
    deep = b'{"sub":"ada","x":' + b"[" * 4000
    header = part({"alg": "HS256"})
    body = f"{header}.{part(deep)}"
    signature = jws.JWSRegistry.algorithms["HS256"].sign(body.encode(), HMAC)
    with pytest.raises(TokenInvalid) as caught:
        await tokens.user(f"{body}.{part(signature)}")
    assert caught.value.claim == "claims"


async def test_a_public_key_is_no_shared_secret(clock: ManualClock) -> None:
    pem = KEYS["RS256"].as_pem(private=False).decode()
    with pytest.raises(ValueError, match=r"tokens\.jwks"):
        Tokens(clock=clock, secret=pem)
    only_public = Tokens(clock=clock, keys=InlineKeys(jwks(public("RS256", "a"))))
    confused = signed("HS256", OctKey(pem.encode(), pem.encode()), claims(), kid="a")
    with pytest.raises(TokenInvalid) as caught:
        await only_public.user(confused)
    assert caught.value.claim == "alg"


async def test_a_token_of_one_algorithm_is_not_checked_with_the_key_of_another(
    tokens: Tokens,
) -> None:
    with pytest.raises(TokenInvalid) as caught:
        await tokens.user(signed("ES256", KEYS["ES256"], claims(), kid="rs256"))
    assert caught.value.claim == "kid"


OTHER = ECKey.generate_key("P-256")


def other(**more: Any) -> dict[str, Any]:
    """Return a second ES256 key, as a JWKS shows it."""
    return {**OTHER.as_dict(private=False), **more}


@pytest.mark.parametrize(
    "document",
    [
        jwks(public("ES256", "one"), public("ES256", "one")),
        jwks(other(kid="one"), public("ES256", "one")),
        jwks(public("ES256", "one"), other(kid="one")),
        jwks(public("RS256", "one"), public("ES256", "one"), public("EdDSA", "one")),
        jwks(
            {**public("ES256", "one"), "alg": "ES256"}, {**public("RS256", "one"), "alg": "RS256"}
        ),
        jwks(other(), {**KEYS["ES256"].as_dict(private=False)}),
        jwks(other(kid="two"), {**KEYS["ES256"].as_dict(private=False)}),
        jwks(*[public("ES256", "one")] * 100),
    ],
    ids=[
        "the same key twice",
        "two keys, the signer's last",
        "two keys, the signer's first",
        "keys of every type",
        "keys with algorithms",
        "keys without kid",
        "the signer's key without kid",
        "the same key a hundred times",
    ],
)
async def test_every_key_that_fits_a_kid_is_tried(clock: ManualClock, document: bytes) -> None:
    tokens = Tokens(clock=clock, keys=InlineKeys(document))
    assert (await tokens.user(kid("one"))).claims.sub == "ada"
    stranger = signed("ES256", ECKey.generate_key("P-256"), claims(), kid="one")
    with pytest.raises(TokenInvalid) as caught:
        await tokens.user(stranger)
    assert caught.value.claim == "signature"
    checks = {check.name: check.passed for check in await tokens.explain(kid("one"))}
    assert checks["signature"]


async def test_a_token_without_kid_is_tried_with_every_key_of_its_algorithm(
    clock: ManualClock,
) -> None:
    tokens = Tokens(clock=clock, keys=InlineKeys(jwks(other(kid="a"), public("ES256", "b"))))
    assert await tokens.user(signed("ES256", KEYS["ES256"], claims()))
    assert await tokens.user(signed("ES256", OTHER, claims()))


async def test_no_token_has_more_than_a_few_keys_tried(clock: ManualClock) -> None:
    many = [ECKey.generate_key("P-256").as_dict(private=False) | {"kid": "one"} for _ in range(50)]
    tokens = Tokens(clock=clock, keys=InlineKeys(jwks(*many, public("ES256", "one"))))
    with pytest.raises(TokenInvalid):
        await tokens.user(kid("one"))


async def test_clocks_may_differ_by_the_leeway(clock: ManualClock) -> None:
    tokens = Tokens(clock=clock, secret=SECRET, leeway_s=5)
    token = mint(SECRET, "ada", at=AT + 4, lifetime_s=60)
    await tokens.user(token)
    clock.advance(68)
    await tokens.user(token)
    clock.advance(1)
    with pytest.raises(TokenExpired):
        await tokens.user(token)


async def test_an_expired_token_says_what_to_do(tokens: Tokens, clock: ManualClock) -> None:
    token = minted(lifetime_s=10)
    clock.advance(60)
    with pytest.raises(TokenExpired) as caught:
        await tokens.user(token)
    assert "50 s ago (`exp`); sign a new one" in caught.value.detail


async def test_a_subscription_token_names_its_channel(tokens: Tokens) -> None:
    token = await tokens.subscription(minted(channel="chat:1", info={"name": "Ada"}))
    assert token.claims.channel == "chat:1"
    assert bytes(token.claims.info) == b'{"name": "Ada"}'
    with pytest.raises(TokenInvalid) as caught:
        await tokens.subscription(minted())
    assert caught.value.claim == "channel"


async def test_a_token_cannot_change_its_id_by_rewriting_its_signature(tokens: Tokens) -> None:
    """32 bytes are 43 characters of base64: the last one has two bits to spare."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = minted()
    twin = token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]
    assert twin != token
    assert (await tokens.user(twin)).id == (await tokens.user(token)).id


async def test_every_check_of_a_good_token_passes(tokens: Tokens) -> None:
    checks = await tokens.explain(minted())
    assert all(check.passed for check in checks)
    assert [check.name for check in checks] == [
        *("shape", "alg", "signature", "sub", "exp", "nbf", "iat", "aud", "iss")
    ]


@pytest.mark.parametrize("sub", ["", None])
async def test_a_token_may_name_nobody_where_that_is_wanted(
    clock: ManualClock, sub: str | None
) -> None:
    tokens = Tokens(clock=clock, secret=SECRET, needs_subject=False)
    assert not (await tokens.user(minted(sub=sub))).claims.sub
    shown = {check.name: check for check in await tokens.explain(minted(sub=sub))}
    assert shown["sub"].passed
    assert "stranger" in shown["sub"].detail


class Endpoint:
    """A real JWKS server whose answer can change."""

    def __init__(self) -> None:
        self.body: bytes = b""
        self.status = 200
        self.location = ""
        self.asked = 0
        self.url = ""
        self.drips = False


@contextmanager
def serving() -> Iterator[Endpoint]:
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            endpoint.asked += 1
            self.send_response(endpoint.status)
            if endpoint.location:
                self.send_header("Location", endpoint.location)
            self.send_header("Content-Length", str(len(endpoint.body)))
            self.end_headers()
            if not endpoint.drips:
                self.wfile.write(endpoint.body)
                return
            with suppress(ConnectionError):
                for byte in endpoint.body:
                    self.wfile.write(bytes([byte]))
                    sleep(0.02)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint.url = f"http://127.0.0.1:{server.server_address[1]}/jwks.json"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving() as one:
        yield one


@pytest.fixture
async def remote(endpoint: Endpoint, clock: ManualClock) -> AsyncIterator[RemoteKeys]:
    keys = RemoteKeys(endpoint.url, clock=clock, retry_s=30, refresh_s=600)
    yield keys
    await keys.close()


def kid(name: str, algorithm: str = "ES256") -> str:
    return signed(algorithm, KEYS[algorithm], claims(exp=AT + 10_000), kid=name)


async def test_a_new_kid_is_fetched_but_no_more_often_than_the_bound(
    endpoint: Endpoint, remote: RemoteKeys, clock: ManualClock
) -> None:
    tokens = Tokens(clock=clock, keys=remote)
    endpoint.body = jwks(public("ES256", "one"))
    await tokens.user(kid("one"))
    assert endpoint.asked == 1
    endpoint.body = jwks(public("ES256", "one"), public("RS256", "two"))
    for _ in range(3):
        with pytest.raises(TokenInvalid):
            await tokens.user(kid("two", "RS256"))
    assert endpoint.asked == 1
    clock.advance(30)
    await tokens.user(kid("two", "RS256"))
    for _ in range(3):
        with pytest.raises(TokenInvalid):
            await tokens.user(kid("random"))
    assert endpoint.asked == 2


async def test_a_key_that_was_changed_under_its_kid_is_fetched_for_the_first_token(
    endpoint: Endpoint, remote: RemoteKeys, clock: ManualClock
) -> None:
    tokens = Tokens(clock=clock, keys=remote)
    endpoint.body = jwks(other(kid="one"))
    await tokens.user(signed("ES256", OTHER, claims(exp=AT + 10_000), kid="one"))
    endpoint.body = jwks(public("ES256", "one"))
    clock.advance(30)
    await tokens.user(kid("one"))
    assert endpoint.asked == 2
    for _ in range(3):  # and whoever signs with a key of their own causes no more of it
        with pytest.raises(TokenInvalid):
            await tokens.user(signed("ES256", OTHER, claims(), kid="one"))
    assert endpoint.asked == 2


async def test_known_keys_outlive_an_endpoint_that_fails(
    endpoint: Endpoint, remote: RemoteKeys, clock: ManualClock
) -> None:
    tokens = Tokens(clock=clock, keys=remote)
    endpoint.body = jwks(public("ES256", "one"))
    await tokens.user(kid("one"))
    endpoint.status = 500
    clock.advance(700)
    await tokens.user(kid("one"))
    with pytest.raises(KeysUnavailable):
        await remote.ping()
    await tokens.user(kid("one"))


async def test_a_key_that_was_withdrawn_stops_verifying_after_the_next_fetch(
    endpoint: Endpoint, remote: RemoteKeys, clock: ManualClock
) -> None:
    tokens = Tokens(clock=clock, keys=remote)
    endpoint.body = jwks(public("ES256", "one"))
    await tokens.user(kid("one"))
    endpoint.body = jwks(public("RS256", "two"))
    clock.advance(700)
    await tokens.user(kid("one"))
    await remote.ping()
    with pytest.raises(TokenInvalid):
        await tokens.user(kid("one"))


HUGE = jwks(public("ES256", "one")) + b" " * 300_000


@pytest.mark.parametrize(
    "answer",
    [b"", b"{}", b'{"keys": []}', b"[" * 9000, HUGE, b'{"keys": [{"kty": "oct"}]}'],
    ids=["nothing", "no keys", "empty", "deep", "huge", "symmetric"],
)
async def test_an_endpoint_without_usable_keys_is_503_not_401(
    endpoint: Endpoint, remote: RemoteKeys, clock: ManualClock, answer: bytes
) -> None:
    endpoint.body = answer
    with pytest.raises(KeysUnavailable) as caught:
        await Tokens(clock=clock, keys=remote).user(kid("one"))
    assert (caught.value.status, caught.value.retry_after) == (503, 1.0)
    endpoint.body = jwks(public("ES256", "one"))
    clock.advance(1)
    await Tokens(clock=clock, keys=remote).user(kid("one"))


def test_a_dripping_endpoint_is_given_up(endpoint: Endpoint) -> None:
    endpoint.body, endpoint.drips = b"x" * 50, True
    with pytest.raises(TimeoutError, match="longer"):
        _download(endpoint.url, 0.3)


async def test_keys_are_not_followed_elsewhere(
    endpoint: Endpoint, remote: RemoteKeys, clock: ManualClock
) -> None:
    with serving() as elsewhere:
        elsewhere.body = jwks(public("ES256", "one"))
        endpoint.status, endpoint.location = 302, elsewhere.url
        with pytest.raises(KeysUnavailable):
            await Tokens(clock=clock, keys=remote).user(kid("one"))
        assert elsewhere.asked == 0


@pytest.mark.parametrize(
    "url", ["http://example.com/jwks", "ftp://127.0.0.1/x", "file:///etc/passwd", "jwks.json"]
)
def test_keys_are_not_fetched_in_the_clear_from_another_machine(
    clock: ManualClock, url: str
) -> None:
    with pytest.raises(ValueError, match="https"):
        RemoteKeys(url, clock=clock)


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": part(b"secret of sixteen"), "kid": "a"},
        {**public("RS256", "a"), "use": "enc"},
        {**public("RS256", "a"), "n": part(b"\xff" * 128)},
        {**public("RS256", "a"), "e": "A" * 1000},
        {**public("ES256", "a"), "x": part(b"\x01" * 32)},
        {**public("ES256", "a"), "crv": "P-999"},
        {"kty": "EC"},
        [],
    ],
    ids=["oct", "enc", "short", "slow", "off the curve", "no such curve", "bare", "a list"],
)
def test_an_unusable_key_is_passed_over(key: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no usable key"):
        InlineKeys(jwks(key))
    InlineKeys(jwks(key, public("EdDSA", "good")))


async def test_few_wait_for_keys_that_come_slowly(clock: ManualClock) -> None:
    may = asyncio.Event()

    async def fetch(_url: str) -> bytes:
        await may.wait()
        return jwks(public("ES256", "one"))

    keys = RemoteKeys("https://keys.example/jwks.json", clock=clock, fetch=fetch)
    waiting = [asyncio.create_task(keys.find("ES256", "one")) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(KeysUnavailable, match="Too many"):
        await keys.find("ES256", "one")
    may.set()
    assert all(await asyncio.gather(*waiting))


async def test_nobody_waits_for_as_long_as_an_endpoint_takes(clock: ManualClock) -> None:
    may, documents = asyncio.Event(), [jwks(public("ES256", "one"), public("RS256", "two"))]

    async def fetch(_url: str) -> bytes:
        await may.wait()
        return documents[-1]

    keys = RemoteKeys("https://keys.example/jwks.json", clock=clock, fetch=fetch, wait_s=0.01)
    tokens = Tokens(clock=clock, keys=keys)
    with pytest.raises(KeysUnavailable, match="take long"):
        await tokens.user(kid("one"))
    may.set()
    await keys.ping()
    may.clear()
    clock.advance(30)
    with pytest.raises(KeysUnavailable, match="take long"):
        await tokens.user(kid("random"))
    assert (await tokens.user(kid("one"))).claims.sub == "ada"
    await keys.close()
