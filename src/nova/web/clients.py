"""The address of the client, believing X-Forwarded-For from known proxies only."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

Address = IPv4Address | IPv6Address


class Clients:
    """Reads addresses; `proxies` are networks (CIDR) whose word is believed."""

    def __init__(self, proxies: Sequence[str] = ()) -> None:
        self._proxies: list[IPv4Network | IPv6Network] = [ip_network(one) for one in proxies]

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
        if ":" not in text:
            return text
        address = _parsed(text)
        if not isinstance(address, IPv6Address):
            return text if address is None else str(address)
        return str(ip_network((int(address), 64), strict=False))

    def _known(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._proxies)


def _parsed(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
