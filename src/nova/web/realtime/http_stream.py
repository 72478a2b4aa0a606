"""`/connection/http_stream`: one POST whose response goes on."""

from starlette.types import ASGIApp, Receive, Scope, Send

from nova.web.clients import Clients
from nova.web.intake import Arrivals
from nova.web.realtime.endpoint import Origins
from nova.web.realtime.hub import Hub
from nova.web.realtime.streams import Guarded, answer, body, shared, stream
from nova.web.realtime.wires import STREAM_JSON, STREAM_PROTOBUF

OCTETS = b"application/octet-stream"


def http_stream(hub: Hub, origins: Origins, clients: Clients) -> ASGIApp:
    """Return an ASGI app; the request's body is the first commands, in JSON or Protobuf."""
    arrivals = Arrivals()

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        first = await body(receive, hub.limits.message_bytes, arrivals.of(clients.address(scope)))
        if first is None:
            await answer(send, 413, b"the commands are too long", shared(scope))
            return
        binary = dict(scope["headers"]).get(b"content-type") == OCTETS
        wire = STREAM_PROTOBUF if binary else STREAM_JSON
        headers = [*shared(scope), (b"content-type", OCTETS)]
        address = clients.network(scope)
        await stream(hub, wire, first, address, headers, scope, receive, send)

    return Guarded(respond, origins, "POST")
