"""A simulator as a program: its credentials, its certificate, and the settings to reach it."""

import asyncio
import fcntl
import json
import os
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from nova.simulators.apns import ApnsSimulator
from nova.simulators.certificates import Authority
from nova.simulators.fcm import FcmSimulator
from nova.simulators.smtp import SmtpSimulator
from nova.simulators.webpush import WebPushSimulator

SETTINGS, SECTION, AUTHORITY, TRUSTED = "nova.toml", "section.toml", "authority.pem", "ca.pem"
"""In a simulator's folder: the settings for all that run beside it, its own part of them, its own
authority, and the authorities of all."""
LOCK = ".lock"
KEY_ID, TEAM_ID, TOPIC = "SIMULATED1", "SIMULATED0", "social.nova.simulated"
Say = Callable[[str], None]
Closing = Callable[[], Awaitable[None]]


class FolderTaken(Exception):
    """Another simulator has this folder."""


async def run(
    folders: Mapping[str, Path], host: str, port: int, say: Say, *, beside: Path | None = None
) -> None:
    """Run simulators, each in a folder of its own, until cancelled. Raises FolderTaken.

    The settings that are said and written are those of all of them, and of all other simulators
    that run in folders of `beside`.
    """
    folders = _absolute(folders)
    async with AsyncExitStack() as stack:
        for which, folder in folders.items():
            stack.enter_context(_held(folder))
            stack.push_async_callback(await _started(which, host, port, folder))
        running = [*folders.values(), *_running_in(beside)]
        for folder in folders.values():
            settings = _combined(folder, running)
            _private(folder / SETTINGS, settings)
        say(f"# Settings for all simulators that run, also in {folder / SETTINGS}:\n\n{settings}")
        await asyncio.Event().wait()


def _absolute(folders: Mapping[str, Path]) -> dict[str, Path]:
    return {which: folder.absolute() for which, folder in folders.items()}


async def _started(which: str, host: str, port: int, folder: Path) -> Closing:
    """Start a simulator; return what ends it."""
    authority = Authority()
    authority.write(folder / AUTHORITY)
    section, close = await _STARTS[which](host, port, folder, authority)
    _private(folder / SECTION, section)
    return close


def _combined(folder: Path, running: Sequence[Path]) -> str:
    """Return the settings for all that run, with their authorities in a file of this folder."""
    sections: dict[str, str] = {}
    authorities = []
    for each in running:
        section = (each / SECTION).read_text("utf-8")
        name = section.partition("\n")[0]
        if name not in sections:
            sections[name] = section
            authorities.append((each / AUTHORITY).read_bytes())
    (folder / TRUSTED).write_bytes(b"".join(authorities))
    outgoing = f"[outgoing]\nca_file = {_text(folder / TRUSTED)}\n"
    if "[webpush]" in sections:
        outgoing += 'allowed_networks = ["127.0.0.0/8", "::1/128"]\n'
    return "\n".join([*sections.values(), outgoing])


def _running_in(folder: Path | None) -> list[Path]:
    """Return the folders in this one that running simulators hold."""
    return [] if folder is None else sorted(filter(_runs, folder.absolute().iterdir()))


def _runs(folder: Path) -> bool:
    """Tell whether a simulator that has started holds a folder."""
    if not (folder / LOCK).is_file():
        return False
    with (folder / LOCK).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return (folder / SECTION).is_file() and (folder / AUTHORITY).is_file()
    return False


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep other simulators from writing over what clients of this one were given."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderTaken(
                f"{folder} is in use by a simulator that runs; choose another with --folder"
            ) from None
        (folder / SECTION).unlink(missing_ok=True)  # of an earlier start
        yield


async def _fcm(host: str, port: int, folder: Path, authority: Authority) -> tuple[str, Closing]:
    fcm = FcmSimulator()
    await fcm.start(host, port, authority.server(host, "localhost"))
    file = folder / "service-account.json"
    _private(file, json.dumps(fcm.service_account(), indent=2))
    return (
        f"[fcm]\ncredentials = {_text(file)}\nurl = {_text(fcm.url)}\n"
        f"# Control: {fcm.url}/simulator/rules, /simulator/received, /simulator/connections\n"
    ), fcm.close


async def _apns(host: str, port: int, folder: Path, authority: Authority) -> tuple[str, Closing]:
    key = ec.generate_private_key(ec.SECP256R1())
    file = folder / "apns.p8"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    _private(file, pem)
    keys = {KEY_ID: key.public_key()}
    tls = authority.server(host, "localhost", offer=("h2",))
    production = ApnsSimulator("production", keys=keys)
    await production.start(host, port, tls)
    sandbox = ApnsSimulator("sandbox", keys=keys)
    await sandbox.start(host, port + 1 if port else 0, tls)
    url = f"https://{host}:{production.server.port}"

    async def close() -> None:
        await production.close()
        await sandbox.close()

    return (
        f"[apns]\nkey = {_text(file)}\nkey_id = {_text(KEY_ID)}\nteam_id = {_text(TEAM_ID)}\n"
        f"topic = {_text(TOPIC)}\nproduction_url = {_text(url)}\n"
        f"sandbox_url = {_text(f'https://{host}:{sandbox.server.port}')}\n"
        f"# Control (HTTP/2): {url}/simulator/rules, /simulator/received, /simulator/connections\n"
    ), close


async def _webpush(host: str, port: int, _: Path, authority: Authority) -> tuple[str, Closing]:
    service = WebPushSimulator()
    await service.start(host, port, authority.server(host, "localhost"))
    secret = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    key = urlsafe_b64encode(secret.to_bytes(32, "big")).rstrip(b"=").decode()
    return (
        f'[webpush]\nprivate_key = {_text(key)}\nsubject = "mailto:operator@example.com"\n'
        f"# A subscription: POST {service.origin}/simulator/subscriptions\n"
        f"# Control: {service.origin}/simulator/rules, /simulator/received\n"
    ), service.close


async def _smtp(host: str, port: int, _: Path, authority: Authority) -> tuple[str, Closing]:
    office = SmtpSimulator()
    tls = authority.server(host, "localhost", offer=())
    await office.start(host, port, tls, starttls=True)
    control = f"http://{host}:{office.server.port}/simulator"
    return (
        f"[smtp]\nhost = {_text(host)}\nport = {office.port}\n"
        'sender = "Nova <no-reply@example.com>"\n'
        f"# Control: {control}/rules, {control}/received\n"
    ), office.close


_STARTS = {"fcm": _fcm, "apns": _apns, "webpush": _webpush, "smtp": _smtp}


def _text(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)


def _private(file: Path, text: str) -> None:
    """Write a file that only its owner may read, in place of one from an earlier start."""
    file.unlink(missing_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        opened.write(text)
