"""Parcels, and simulators in this process with carriers that reach them."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec

from nova.adapters.webpush.carrier import WebPush
from nova.adapters.webpush.vapid import Vapid
from nova.kernel.clock import SystemClock
from nova.ports.carriers import Parcel, Target
from nova.simulators.certificates import Authority
from nova.simulators.webpush import Subscription, WebPushSimulator
from nova.wire.addresses import Guard
from nova.wire.jws import unpadded
from nova.wire.origin import Bounds

HOME = Guard(also=["127.0.0.0/8"], plain=True)
QUICK = Bounds(deadline_s=5, look_s=0.2)


def parcel(target: Target, **changes: Any) -> Parcel:
    given: dict[str, Any] = {
        "id": uuid4(),
        "target": target,
        "title": "Ada liked your post",
        "body": "“Notes on the engine” – 3 likes",
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
    version: str = "h2", *, bounds: Bounds = QUICK
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
