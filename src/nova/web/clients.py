"""The address of the client, believing X-Forwarded-For from known proxies only."""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

from nova.web.allowed_hosts import Once

FORWARDING = frozenset({b"x-forwarded-for", b"forwarded", b"x-real-ip"})
_PASSED_ON = FORWARDING | {b"via", b"cf-connecting-ip", b"true-client-ip", b"x-client-ip"}
UNNAMED = (
    "If this is your proxy, name it in the setting http.trusted_proxies, and have it send "
    "X-Forwarded-For: until then all that come through it are one address, with one limit. If it "
    "is not, nothing needs to be done."
)
Address = IPv4Address | IPv6Address


class Clients:
    """Reads addresses; `proxies` are networks (CIDR) whose word is believed."""

    def __init__(self, proxies: Sequence[str] = ()) -> None:
        self._proxies: list[IPv4Network | IPv6Network] = [ip_network(one) for one in proxies]
        self._once = Once("proxy_not_named", UNNAMED)
        self.seen: Callable[[], None] = lambda: None
        """Called when somebody passes requests on who is not a known proxy."""

    def notice(self, scope: Scope) -> None:
        """Log once of each peer that it forwards requests and is not believed."""
        for name, _ in scope["headers"]:
            if name in FORWARDING:
                peer = scope["client"][0] if scope.get("client") else ""
                if not self._known(_parsed(peer)):
                    self._once.tell(peer=peer)
                    self.seen()
                return

    def forwarded(self, scope: Scope) -> bool:
        """Return whether a request came through a proxy, by what it says of itself."""
        return any(
            name in _PASSED_ON or name.startswith((b"x-forwarded-", b"x-original-"))
            for name, _ in scope["headers"]
        )

    def address(self, scope: Scope) -> str:
        """Return the nearest address that is not a known proxy; "" when there is none."""
        client = scope.get("client")
        peer = client[0] if client else ""
        if not self._proxies or not self._known(_parsed(peer)):
            return peer
        hops = [
            hop
            for name, value in scope["headers"]
            if name == b"x-forwarded-for"
            for hop in value.decode("latin-1").split(",")
        ]
        for hop in reversed(hops):
            address = _parsed(hop.strip())
            if address is None:
                break  # what stands left of nonsense is nonsense
            peer = str(address)
            if not self._known(address):
                break
        return peer

    def network(self, scope: Scope) -> str:
        """Return what limits count by: the address, of IPv6 the /64 that one client has."""
        text = self.address(scope)
        return text if ":" not in text else _network(text, _parsed(text))

    def counted(self, peer: str) -> str:
        """Return as what a peer's connections count; "" for a known proxy: it speaks for many."""
        address = _parsed(peer)
        return "" if address is None or self._known(address) else _network(peer, address)

    def _known(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._proxies)


def _network(text: str, address: Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((int(address), 64), strict=False))
    return text if address is None else str(address)


def _parsed(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def is_loopback(text: str) -> bool:
    """Return whether an address is of this machine."""
    address = _parsed(text)
    return address is not None and address.is_loopback
