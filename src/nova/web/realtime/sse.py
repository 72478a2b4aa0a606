"""`/connection/sse`: server-sent events, for what browsers call EventSource."""

from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from nova.web.clients import Clients
from nova.web.realtime.endpoint import Origins
from nova.web.realtime.hub import Hub
from nova.web.realtime.streams import Guarded, answer, shared, stream
from nova.web.realtime.wires import EVENTS


def sse(hub: Hub, origins: Origins, clients: Clients) -> ASGIApp:
    """Return an ASGI app; the query parameter `cf_connect` is the first commands, in JSON."""

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"), errors="surrogateescape")
        first = query.get("cf_connect", [""])[0].encode(errors="surrogateescape")
        if not first:
            await answer(send, 400, b"cf_connect is missing", shared(scope))
            return
        headers = [*shared(scope), (b"content-type", b"text/event-stream")]
        address = clients.network(scope)
        await stream(hub, EVENTS, first, address, headers, scope, receive, send)

    return Guarded(respond, origins, "GET")
