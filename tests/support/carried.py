"""Parcels, and simulators in this process with carriers that reach them."""

import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from nova.adapters.apns.carrier import Apns
from nova.adapters.apns.tokens import Tokens
from nova.adapters.fcm.carrier import Fcm
from nova.adapters.fcm.oauth import service_account
from nova.adapters.smtp.carrier import Smtp
from nova.adapters.smtp.message import Sender
from nova.adapters.smtp.pool import Relay, Security
from nova.adapters.webpush.carrier import WebPush
from nova.adapters.webpush.vapid import Vapid
from nova.kernel.clock import ManualClock, SystemClock
from nova.ports.carriers import Parcel, Target
from nova.simulators.apns import ApnsSimulator
from nova.simulators.certificates import Authority
from nova.simulators.fcm import FcmSimulator
from nova.simulators.smtp import SmtpSimulator
from nova.simulators.webpush import Subscription, WebPushSimulator
from nova.wire.addresses import Guard
from nova.wire.jws import unpadded
from nova.wire.origin import Bounds
from support.waiting import SOON_S

HOME = Guard(also=["127.0.0.0/8"], plain=True)
PATIENT = Bounds(deadline_s=SOON_S, connect_s=SOON_S, look_s=SOON_S)


def parcel(target: Target, **changes: Any) -> Parcel:
    given: dict[str, Any] = {
        "id": uuid4(),
        "target": target,
        "title": "Ada liked your post",
        "body": "“Notes on the engine”: 3 likes",
        "html": None,
        "url": "https://example.com/posts/1",
        "data": {"post": "1"},
        "collapse_id": "post-1-likes",
        "urgent": True,
        "expires_at": datetime.now(UTC) + timedelta(hours=1),
        "locale": "en",
        "unsubscribe_url": None,
        "badge": 3,
    }
    return Parcel(**given | changes)


def vapid_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return unpadded(key.to_bytes(32, "big")).decode()


def trusting(authority: Authority, *offer: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.set_alpn_protocols(list(offer or ("h2", "http/1.1")))
    return context


def at(subscription: Subscription) -> Target:
    keys = {"p256dh": subscription.p256dh, "auth": subscription.auth}
    return Target(uuid4(), "web", subscription.endpoint, keys)


@asynccontextmanager
async def browsers(
    version: str = "h2", *, bounds: Bounds = PATIENT
) -> AsyncIterator[tuple[WebPushSimulator, WebPush]]:
    """Return a push service over TLS and a carrier; `version` is what is spoken."""
    authority, simulator = Authority(), WebPushSimulator()
    await simulator.start(tls=authority.server("127.0.0.1", "localhost"))
    vapid = Vapid(vapid_key(), subject="mailto:ops@example.com", clock=SystemClock())
    carrier = WebPush(
        vapid,
        guard=HOME,
        tls=trusting(authority, version),
        clock=SystemClock(),
        bounds=bounds,
    )
    try:
        yield simulator, carrier
    finally:
        await carrier.close()
        await simulator.close()


def shown(folder: Path, authority: Authority) -> Path:
    return authority.write(folder / "ca.pem")


TEAM, KEY_ID, TOPIC = "TEAM123456", "KEY1234567", "com.example.app"


class Apple(NamedTuple):
    """Both hosts of APNs, and a carrier to them."""

    production: ApnsSimulator
    sandbox: ApnsSimulator
    carrier: Apns
    clock: SystemClock | ManualClock


@asynccontextmanager
async def apple(
    *, clock: SystemClock | ManualClock | None = None, bounds: Bounds = PATIENT, **given: Any
) -> AsyncIterator[Apple]:
    """`given` are arguments of the simulators."""
    authority, key = Authority(), ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    hosts = {
        name: ApnsSimulator(name, keys={KEY_ID: key.public_key()}, **given)
        for name in ("production", "sandbox")
    }
    for host in hosts.values():
        await host.start(tls=authority.server("127.0.0.1", offer=("h2",)))
    time = clock or SystemClock()
    carrier = Apns(
        Tokens(pem, key_id=KEY_ID, team_id=TEAM, clock=time),
        topic=TOPIC,
        tls=trusting(authority, "h2"),
        clock=time,
        hosts={name: f"https://127.0.0.1:{host.server.port}" for name, host in hosts.items()},
        bounds=bounds,
    )
    try:
        yield Apple(hosts["production"], hosts["sandbox"], carrier, time)
    finally:
        await carrier.close()
        for host in hosts.values():
            await host.close()


def iphone(token: str, **keys: str) -> Target:
    return Target(uuid4(), "ios", token, keys)


def android(token: str) -> Target:
    return Target(uuid4(), "android", token)


@asynccontextmanager
async def google(
    *, clock: SystemClock | ManualClock | None = None, bounds: Bounds = PATIENT, **given: Any
) -> AsyncIterator[tuple[FcmSimulator, Fcm]]:
    """`given` are arguments of the simulator."""
    authority, simulator = Authority(), FcmSimulator(key=rsa_key(), **given)
    await simulator.start(tls=authority.server("127.0.0.1"))
    account = service_account(json.dumps(simulator.service_account()))
    carrier = Fcm(
        account,
        tls=trusting(authority),
        clock=clock or SystemClock(),
        host=simulator.url,
        bounds=bounds,
    )
    try:
        yield simulator, carrier
    finally:
        await carrier.close()
        await simulator.close()


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


SENDER = Sender("Nova für alle", "no-reply@example.com")


@asynccontextmanager
async def post_office(
    *,
    security: Security = "starttls",
    sign: Callable[[bytes], bytes] | None = None,
    username: str = "",
    given: str = "secret",
    **relay: Any,
) -> AsyncIterator[tuple[SmtpSimulator, Smtp]]:
    """Return a mail server and a carrier; `given` is the password that the carrier has."""
    authority = Authority()
    simulator = SmtpSimulator(username=username, password="secret")
    tls = None if security == "none" else authority.server("127.0.0.1", offer=())
    await simulator.start(tls=tls, starttls=security == "starttls")
    told: dict[str, Any] = {"hello": "example.com", "timeout_s": SOON_S} | relay
    carrier = Smtp(
        Relay("127.0.0.1", simulator.port, security, username, given, **told),
        SENDER,
        tls=ssl.create_default_context(cadata=authority.pem.decode()),
        clock=SystemClock(),
        sign=sign,
    )
    try:
        yield simulator, carrier
    finally:
        await carrier.close()
        await simulator.close()


def mailbox(address: str) -> Target:
    return Target(None, "mail", address)
