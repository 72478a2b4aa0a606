"""Who gets in: what verifies tokens, and who hears that they count no longer."""

from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from nova.app.starting import CannotStart
from nova.features.accounts import People
from nova.kernel.clock import Clock
from nova.settings import Settings
from nova.web.allowed_hosts import Hosts
from nova.web.jwks import InlineKeys, KeysUnavailable, RemoteKeys
from nova.web.limits import Budgets
from nova.web.realtime.hub import Hub
from nova.web.realtime.watch import Watch
from nova.web.routes import Limit
from nova.web.tokens import Tokens


def verifier(settings: Settings, clock: Clock) -> tuple[Tokens, RemoteKeys | None]:
    """Return what verifies user tokens, and the source of its public keys, to be closed."""
    given = settings.tokens
    try:
        keys = RemoteKeys(given.jwks_url, clock=clock) if given.jwks_url else None
        inline = InlineKeys(_read(given.jwks_file)) if given.jwks_file else None
        tokens = Tokens(
            clock=clock,
            secret=given.secret,
            keys=keys or inline,
            audience=given.audience,
            issuer=given.issuer,
            leeway_s=given.leeway_s,
            max_lifetime_s=given.max_lifetime_s,
            needs_expiry=given.require_expiry,
            needs_subject=not settings.socket.anonymous,
        )
    except ValueError as reason:
        raise CannotStart(str(reason)) from reason
    return tokens, keys


async def reached(keys: RemoteKeys) -> None:
    """Never begin without keys that were asked for: every user would be turned away."""
    try:
        await keys.ping()
    except KeysUnavailable as reason:
        raise CannotStart(
            f"{reason.detail}. Check tokens.jwks_url, and that it answers from here; or keep the "
            "keys in a file and name it in tokens.jwks_file."
        ) from reason


def budgets(settings: Settings) -> Budgets:
    given = settings.limits
    return Budgets(
        users=Limit("users", per_s=given.user_per_s, burst=given.user_burst),
        servers=Limit("server_keys", per_s=given.server_per_s, burst=given.server_burst),
        strangers=Limit("strangers", per_s=given.address_per_s, burst=given.address_burst),
    )


def hosts(settings: Settings) -> Hosts:
    """Return what checks the names by which this server is called."""
    own = [urlsplit(settings.deliveries.public_url).hostname or "", settings.http.host]
    return Hosts([*settings.http.allowed_hosts, *filter(None, own)])


def origins(settings: Settings) -> list[str]:
    """Return the origins whose pages may call, besides the one that the Host header names."""
    public = urlsplit(settings.deliveries.public_url)
    own = [f"{public.scheme}://{public.netloc}"] if public.netloc else []
    return [*settings.http.allowed_origins, *own]


class ProxyNotNamed(Exception):
    """Somebody passes requests on whom http.trusted_proxies does not name."""


async def unnamed_proxy() -> str:
    """Say so as one of the checks of readiness."""
    raise ProxyNotNamed("somebody passes requests on whom http.trusted_proxies does not name")


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as reason:
        raise CannotStart(f"tokens.jwks_file: {name}: {reason.strerror}") from reason


def watch(hub: Hub, people: People) -> Watch:
    """Return what closes sockets that people have no right to any more."""
    return Watch(hub, _Standings(people))


class _Standings:
    """Whether a user may still connect, as accounts know it."""

    def __init__(self, people: People) -> None:
        self._people = people

    async def admitted(self, user: UUID) -> bool:
        profile = await self._people.find(str(user))
        return profile is not None and not profile.suspended
