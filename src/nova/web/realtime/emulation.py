"""`/emulation`: what clients of one-way streams have to say."""

import msgspec
from google.protobuf.message import DecodeError
from msgspec import Struct
from starlette.types import ASGIApp, Receive, Scope, Send

from nova.ports.fanout import Said
from nova.web.clients import Clients
from nova.web.intake import Arrivals
from nova.web.realtime import client_pb2 as pb
from nova.web.realtime.endpoint import Origins
from nova.web.realtime.http_stream import OCTETS
from nova.web.realtime.hub import Hub
from nova.web.realtime.streams import Guarded, answer, body, shared


class Request(Struct):
    """Commands, and the secret of the session that they are for."""

    session: str
    data: str
    node: str = ""


_decode = msgspec.json.Decoder(Request).decode


def emulation(hub: Hub, origins: Origins, clients: Clients) -> ASGIApp:
    """Return an ASGI app; 404 tells that there is no such session.

    What is for a session of another process is passed on to it: a proxy may send the requests of
    one client to any of them.
    """
    arrivals = Arrivals()

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        raw = await body(receive, 2 * hub.limits.message_bytes, arrivals.of(clients.address(scope)))
        if raw is None:
            await answer(send, 413, b"the commands are too long", shared(scope))
            return
        said = _read(raw, binary=dict(scope["headers"]).get(b"content-type") == OCTETS)
        if said is None:
            await answer(send, 400, b"not an emulation request", shared(scope))
            return
        node, secret, commands = said
        session = hub.registry.find(secret)
        if session is not None:
            session.receive(commands)
        elif not _forward(hub, Said(node, secret, commands)):
            await answer(send, 404, b"no such session", shared(scope))
            return
        await answer(send, 204, b"", shared(scope))

    return Guarded(respond, origins, "POST")


def _forward(hub: Hub, said: Said) -> bool:
    """Pass commands on to the process that holds their session, if there may be one.

    Whether they arrive is not known: a client that gets no answer connects again.
    """
    if said.node in {"", hub.node} or not hub.fanout.others:
        return False
    hub.fanout.tell(said)
    return True


def _read(raw: bytes, *, binary: bool) -> tuple[str, str, bytes] | None:
    """Return process, secret of the session, and commands; None for what is no request."""
    try:
        if binary:
            message = pb.EmulationRequest.FromString(raw)
            return message.node, message.session, message.data
        said = _decode(raw)
        return said.node, said.session, said.data.encode()
    except (DecodeError, msgspec.DecodeError, UnicodeError, RecursionError):
        return None
