"""The carriers that the settings ask for; each needs an extra only when it is asked for."""

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from nova.kernel.clock import Clock, SystemClock
from nova.ports.carriers import Carrier, Outcome, Verdict
from nova.ports.hooks import ForbiddenUrl, Hooks
from nova.settings import Misconfigured, Settings

PLATFORMS = {
    "ios": ("apns", "fcm"),
    "android": ("fcm",),
    "web": ("webpush",),
    "mail": ("smtp",),
}
"""Which carriers reach a platform, the best first."""


class _Closable(Carrier, Protocol):
    async def close(self) -> None: ...


@asynccontextmanager
async def carriers(settings: Settings, clock: Clock) -> AsyncIterator[Mapping[str, Carrier]]:
    """Open the configured carriers, by name; raises Misconfigured with all that is wrong."""
    problems: list[str] = []
    async with AsyncExitStack() as stack:
        opened: dict[str, Carrier] = {}
        for name, (wanted, extra, make) in _makers(settings, clock).items():
            if not wanted:
                continue
            try:
                carrier = make()
            except ModuleNotFoundError as missing:
                package = (missing.name or "").partition(".")[0]
                needed = f"the package {package} is not installed"
                problems.append(f"{name}: {needed}; run: pip install 'nova-social[{extra}]'")
            except (ValueError, OSError) as wrong:
                problems.append(f"{name}: {wrong}")
            else:
                opened[name] = carrier
                stack.push_async_callback(carrier.close)
        if problems:
            raise Misconfigured(problems)
        yield opened


def caught(settings: Settings) -> list[str]:
    """Return the platforms that no provider is set for: the mail catcher keeps what is theirs."""
    wanted = {name for name, (chosen, *_) in _makers(settings, SystemClock()).items() if chosen}
    return [platform for platform, names in PLATFORMS.items() if wanted.isdisjoint(names)]


@asynccontextmanager
async def hooks(settings: Settings, clock: Clock) -> AsyncIterator[Hooks]:
    """Open what calls webhooks; without its extra, none can be added."""
    try:
        from nova.adapters.webhooks.poster import Poster  # noqa: PLC0415  # h2 comes with an extra
    except ModuleNotFoundError:
        yield NoHooks()
        return
    poster = Poster(
        clock, networks=settings.outgoing.allowed_networks, tls=_trust(settings, "h2", "http/1.1")
    )
    try:
        yield poster
    finally:
        await poster.close()


class NoHooks:
    """Stands where webhooks would be called."""

    def check(self, url: str) -> str:
        raise ForbiddenUrl(f"{url} cannot be called: run pip install 'nova-social[push]' first.")

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        del url, headers, body
        says = "The extra 'push' is not installed."
        return Outcome(Verdict.MISCONFIGURED, "not_installed", says, None, None, None)


def _makers(
    settings: Settings, clock: Clock
) -> Mapping[str, tuple[str, str, Callable[[], _Closable]]]:
    """Return for each name whether it is wanted, the extra it needs, and how it is made."""
    return {
        "fcm": (settings.fcm.credentials, "push", partial(_fcm, settings, clock)),
        "apns": (settings.apns.key, "push", partial(_apns, settings, clock)),
        "webpush": (settings.webpush.private_key, "push", partial(_webpush, settings, clock)),
        "smtp": (settings.smtp.host, "mail", partial(_smtp, settings, clock)),
    }


def _trust(settings: Settings, *offer: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.outgoing.ca_file:
        context.load_verify_locations(settings.outgoing.ca_file)
    if offer:
        context.set_alpn_protocols(list(offer))
    return context


def _bounds(settings: Settings, connections: int) -> Any:
    from nova.wire.origin import Bounds  # noqa: PLC0415  # h2 comes with an extra

    chosen = settings.outgoing
    return Bounds(connections=connections, waiting=chosen.waiting, deadline_s=chosen.deadline_s)


def _fcm(settings: Settings, clock: Clock) -> _Closable:
    from nova.adapters.fcm.carrier import Fcm  # noqa: PLC0415  # an extra
    from nova.adapters.fcm.oauth import service_account  # noqa: PLC0415

    account = service_account(Path(settings.fcm.credentials).read_bytes())
    tls = _trust(settings, "h2", "http/1.1")
    return Fcm(account, tls=tls, clock=clock, host=settings.fcm.url, bounds=_bounds(settings, 1))


def _apns(settings: Settings, clock: Clock) -> _Closable:
    from nova.adapters.apns.carrier import Apns  # noqa: PLC0415  # an extra
    from nova.adapters.apns.tokens import Tokens  # noqa: PLC0415

    chosen = settings.apns
    key = Path(chosen.key).read_text("ascii")
    return Apns(
        Tokens(key, key_id=chosen.key_id, team_id=chosen.team_id, clock=clock),
        topic=chosen.topic,
        tls=_trust(settings, "h2"),
        clock=clock,
        environment=chosen.environment,
        hosts={"production": chosen.production_url, "sandbox": chosen.sandbox_url},
        bounds=_bounds(settings, 1),
    )


def _webpush(settings: Settings, clock: Clock) -> _Closable:
    from nova.adapters.webpush.carrier import WebPush  # noqa: PLC0415  # an extra
    from nova.adapters.webpush.vapid import Vapid  # noqa: PLC0415
    from nova.wire.addresses import Guard  # noqa: PLC0415

    chosen = settings.webpush
    if not chosen.subject.startswith(("mailto:", "https:")):
        raise ValueError("webpush.subject is neither a mailto: nor an https: address")
    return WebPush(
        Vapid(chosen.private_key, subject=chosen.subject, clock=clock),
        guard=Guard(also=settings.outgoing.allowed_networks),
        tls=_trust(settings, "h2", "http/1.1"),
        clock=clock,
        bounds=_bounds(settings, 8),
    )


def _smtp(settings: Settings, clock: Clock) -> _Closable:
    from nova.adapters.smtp.carrier import Smtp  # noqa: PLC0415  # an extra
    from nova.adapters.smtp.dkim import signer  # noqa: PLC0415
    from nova.adapters.smtp.message import sender  # noqa: PLC0415
    from nova.adapters.smtp.pool import Relay  # noqa: PLC0415

    chosen = settings.smtp
    by = sender(chosen.sender)
    relay = Relay(
        chosen.host,
        chosen.port,
        chosen.security,
        chosen.username,
        chosen.password,
        hello=by.domain,
        connections=chosen.connections,
        timeout_s=chosen.timeout_s,
    )
    sign = None
    if chosen.dkim_key:
        key = Path(chosen.dkim_key)
        sign = signer(key, selector=chosen.dkim_selector, domain=by.domain).signed
    return Smtp(relay, by, tls=_trust(settings), clock=clock, sign=sign)
