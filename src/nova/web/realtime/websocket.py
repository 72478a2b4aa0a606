"""WebSocket connections: uvicorn's protocol, with a short way in and out for the socket."""

import os
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from nova.web.realtime.codes import Closing
from nova.web.realtime.session import Session

DIRECT = "nova.direct"
"""The ASGI extension by which an endpoint gets the protocol, to speak to it without ASGI."""
_WOULD_BLOCK = (BlockingIOError, InterruptedError)
_CUT_OFF_S = 5.0


class SocketProtocol(WebSocketsSansIOProtocol):
    """Hands a session whole messages, and writes its frames straight to the kernel.

    A frame goes out by `os.write` when nothing waits before it, and through the transport's
    buffer otherwise, or as far as the kernel did not take it: bytes never overtake others.
    TLS and Unix sockets without a descriptor go through the transport alone.
    """

    session: Session | None = None
    _descriptor = -1

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:
            cast("dict[str, Any]", scope["extensions"])[DIRECT] = self

    def attach(self, session: Session) -> None:
        """From now on, messages go to the session, and the session writes frames."""
        self.session = session
        if self.transport.get_extra_info("sslcontext") is None:
            socket = self.transport.get_extra_info("socket")
            self._descriptor = -1 if socket is None else socket.fileno()
        # What the handshake needed is not needed for the life of the connection.
        self.scope["headers"] = []
        del self.request, self.response

    # -- nova.web.realtime.wires.Transport --------------------------------------------------------

    def write(self, frame: bytes) -> int:
        transport = self.transport
        waiting = transport.get_write_buffer_size()
        if waiting == 0 and self._descriptor >= 0 and not transport.is_closing():
            try:
                sent = os.write(self._descriptor, frame)
            except _WOULD_BLOCK:
                sent = 0
            except OSError:
                transport.abort()
                return 0
            if sent == len(frame):
                return 0
            frame = frame[sent:]
        transport.write(frame)
        return transport.get_write_buffer_size()

    def close(self, closing: Closing) -> None:
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.send_close(closing.code, closing.reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": closing.code})
        # A peer that does not answer the close, or does not read it, is cut off.
        self.close_timer = self.loop.call_later(_CUT_OFF_S, self.transport.abort)

    def abort(self, closing: Closing) -> None:
        self.queue.put_nowait({"type": "websocket.disconnect", "code": closing.code})
        self.close_sent = True
        self.transport.abort()

    # -- uvicorn ----------------------------------------------------------------------------------

    def send_receive_event_to_app(self) -> None:
        session = self.session
        if session is None:
            super().send_receive_event_to_app()
            return
        frames, self.frames = self.frames, []
        if not self.close_sent:
            session.receive(frames[0] if len(frames) == 1 else b"".join(frames))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.session is not None:
            self.session.lost()
        super().connection_lost(exc)
