"""Other people's clients against our simulators, and our carrier against their push service."""

import asyncio
import json
import os
import socket
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from nova.adapters.webpush.carrier import WebPush
from nova.adapters.webpush.vapid import Vapid
from nova.kernel.clock import SystemClock
from nova.ports.carriers import Target, Verdict
from nova.simulators.apns import ApnsSimulator
from nova.simulators.certificates import Authority
from nova.simulators.fcm import FcmSimulator
from nova.simulators.scripts import Rule
from nova.simulators.webpush import WebPushSimulator
from nova.wire.addresses import Guard
from nova.wire.outgoing import trust
from support.carried import KEY_ID, TEAM, TOPIC, parcel, rsa_key, vapid_key
from support.clients import http_client
from support.node import node_with_packages
from support.waiting import SOON_S

FOLDER = Path(__file__).parent / "js"


@pytest.fixture(scope="module")
def node() -> str:
    """Node, with the packages installed as locked."""
    return node_with_packages(FOLDER)


async def run(node: str, what: str, given: dict[str, Any], ca: Path) -> Any:
    process = await asyncio.create_subprocess_exec(
        node,
        "oracle.mjs",
        what,
        json.dumps(given),
        cwd=FOLDER,
        stdout=PIPE,
        env=os.environ | {"NODE_EXTRA_CA_CERTS": str(ca)},
    )
    try:
        async with asyncio.timeout(SOON_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    return json.loads(said)


async def test_node_apn_is_understood_and_understands(node: str, tmp_path: Path) -> None:
    authority, key = Authority(), ec.generate_private_key(ec.SECP256R1())
    apns = ApnsSimulator(keys={KEY_ID: key.public_key()}, topics=[TOPIC])
    await apns.start(tls=authority.server("127.0.0.1", offer=("h2",)))
    dead, bad = "de" * 32, "ba" * 32
    apns.script.add(Rule(match=dead, answer="Unregistered", timestamp_ms=1_700_000_000_000))
    apns.script.add(Rule(match=bad, answer="BadDeviceToken"))
    given = {
        "port": apns.server.port,
        "key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "keyId": KEY_ID,
        "teamId": TEAM,
        "topic": TOPIC,
        "devices": ["aa" * 32, dead, bad],
        "ca": authority.pem.decode(),
    }
    said = await run(node, "apns", given, authority.write(tmp_path / "ca.pem"))
    assert said["sent"] == ["aa" * 32], (said, apns.received.items)
    failed = {each["device"]: each for each in said["failed"]}
    assert (failed[dead]["status"], failed[dead]["reason"]) == (410, "Unregistered")
    assert (failed[bad]["status"], failed[bad]["reason"]) == (400, "BadDeviceToken")
    taken = next(each for each in apns.received.items if not each.reason)
    assert (taken.kind, taken.collapse_id) == ("alert", "node")
    assert taken.payload["aps"]["alert"] == {"title": "Hi", "body": "from Node"}
    await apns.close()


async def test_web_push_for_node_is_understood(node: str, tmp_path: Path) -> None:
    authority, service = Authority(), WebPushSimulator()
    await service.start(tls=authority.server("127.0.0.1"))
    key = vapid_key()
    public = Vapid(key, subject="mailto:a@example.com", clock=SystemClock()).public
    given: dict[str, Any] = {
        "privateKey": key,
        "publicKey": public,
        "payload": "hällo",
        "subject": "mailto:a@b.c",
    }
    ca = authority.write(tmp_path / "ca.pem")
    found = {}
    for name, owner in (("ben", public), ("Gone.eve", None), ("foreign", "another")):
        made = service.subscribe(name, owner)
        keys = {"p256dh": made.p256dh, "auth": made.auth}
        given["subscription"] = {"endpoint": made.endpoint, "keys": keys}
        found[name] = (await run(node, "webpush", given, ca))["status"]
    assert found == {"ben": 201, "Gone.eve": 410, "foreign": 403}
    first = service.received.items[0].read()
    assert (first.plain, first.ttl, first.topic) == ("hällo", 60, "node")
    await service.close()


async def test_firebase_admin_is_understood_and_understands(node: str, tmp_path: Path) -> None:
    authority, fcm = Authority(), FcmSimulator(key=rsa_key())
    await fcm.start(tls=authority.server("127.0.0.1"))
    names = ["ok.1", "UNREGISTERED.2", "SENDER_ID_MISMATCH.3", "INVALID_ARGUMENT.4",
             "THIRD_PARTY_AUTH_ERROR.5", "QUOTA_EXCEEDED.6"]  # fmt: skip
    given = {
        "url": fcm.url,
        "project": fcm.project,
        "tokens": names,
        "accessToken": fcm.grant(),
    }
    said = await run(node, "fcm", given, authority.write(tmp_path / "ca.pem"))
    assert said[0]["success"]
    assert said[0]["messageId"].startswith(f"projects/{fcm.project}/messages/")
    assert [each["code"] for each in said[1:]] == [
        "messaging/registration-token-not-registered",
        "messaging/mismatched-credential",
        "messaging/invalid-argument",
        "messaging/third-party-auth-error",
        "messaging/message-rate-exceeded",
    ]
    await fcm.close()


async def test_another_push_service_takes_and_decrypts_ours(node: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        node, "oracle.mjs", "service", str(port), cwd=FOLDER, stdout=PIPE
    )
    vapid = Vapid(vapid_key(), subject="mailto:ops@example.com", clock=SystemClock())
    guard = Guard(also=["127.0.0.0/8", "::1/128"], plain=True)
    carrier = WebPush(vapid, guard=guard, tls=trust(), clock=SystemClock())
    try:
        assert process.stdout is not None
        async with asyncio.timeout(SOON_S):
            assert b"running" in await process.stdout.readline()
        async with http_client(f"http://localhost:{port}") as browser:
            options = {"userVisibleOnly": "true", "applicationServerKey": vapid.public}
            made = (await browser.post("/subscribe", json=options)).json()["data"]
            target = Target(uuid4(), "web", made["endpoint"], made["keys"])
            outcome = await carrier.send(parcel(target))
            assert outcome.verdict is Verdict.SENT, outcome
            name = {"clientHash": made["clientHash"]}
            got = (await browser.post("/get-notifications", json=name)).json()
            [message] = got["data"]["messages"]
            assert json.loads(message)["notification"]["title"] == "Ada liked your post"
            await browser.post(f"/expire-subscription/{made['clientHash']}")
            assert (await carrier.send(parcel(target))).verdict is Verdict.GONE
    finally:
        await carrier.close()
        process.kill()
        await process.communicate()
