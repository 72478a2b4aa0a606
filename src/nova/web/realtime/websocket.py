"""WebSocket connections: uvicorn's protocol, with a short way in and out for the socket."""

import os
from asyncio import Event, Queue
from typing import Any, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from nova.web.realtime.codes import MALFORMED, SLOW, Closing
from nova.web.realtime.session import Session

DIRECT = "nova.direct"
"""The ASGI extension by which an endpoint gets the protocol, to speak to it without ASGI."""
MOST_FRAGMENTS = 256
"""Frames of one message."""
_SUBPROTOCOL = "Sec-WebSocket-Protocol"
_WOULD_BLOCK = (BlockingIOError, InterruptedError)
_CUT_OFF_S = 5.0
_BAD_TEXT = Closing(1007, "not UTF-8")
_TOO_MANY_FRAGMENTS = Closing(1009, "too many fragments")


class _Nobody:
    """Stands where uvicorn keeps what an ASGI app would wait for, in place of 2 KB."""

    def put_nowait(self, _message: object) -> None: ...
    def set(self) -> None: ...
    def clear(self) -> None: ...


_NOBODY = _Nobody()


class SocketProtocol(WebSocketsSansIOProtocol):
    """Hands a session whole messages, and writes its frames straight to the kernel.

    A frame goes out by `os.write` when nothing waits before it, and through the transport's
    buffer otherwise, or as far as the kernel did not take it: bytes never overtake others.
    TLS goes through the transport alone. Once a session is attached, no task waits for the
    connection.
    """

    session: Session | None = None
    binary = False
    _descriptor = -1

    def handle_connect(self, event: Any) -> None:
        offered = event.headers.get_all(_SUBPROTOCOL)
        if offered and not any(each.strip() for each in offered):
            # centrifuge-python offers an empty list for JSON, which RFC 6455 does not allow.
            del event.headers[_SUBPROTOCOL]
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:
            cast("dict[str, Any]", scope["extensions"])[DIRECT] = self

    def attach(self, session: Session, *, binary: bool, most_bytes: int) -> None:
        """From now on, messages go to the session, and the session writes frames."""
        self.session, self.binary = session, binary
        self.conn.max_message_size = most_bytes
        if self.transport.get_extra_info("sslcontext") is None:
            socket = self.transport.get_extra_info("socket")
            self._descriptor = -1 if socket is None else socket.fileno()
        early, self.queue = self.queue, cast("Queue[Any]", _NOBODY)
        self.writable = cast("Event", _NOBODY)
        # What the handshake needed is not needed for the life of the connection.
        del self.scope, self.request, self.response
        while not early.empty():
            message = cast("dict[str, Any]", early.get_nowait())
            if message["type"] == "websocket.receive":
                text = message.get("text")
                session.receive(message["bytes"] if text is None else text.encode())
        self.flow()

    # -- nova.web.realtime.wires.Transport --------------------------------------------------------

    def write(self, frame: bytes) -> int:
        transport = self.transport
        if transport.is_closing():
            return 0
        if self._descriptor >= 0 and transport.get_write_buffer_size() == 0:
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
        self.frames = []
        self.flow()
        self._cut_off()

    def abort(self, closing: Closing) -> None:  # noqa: ARG002  # no byte would get through
        self.close_sent = True
        self.transport.abort()

    def hold(self) -> None:
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def flow(self) -> None:
        if self.read_paused and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    def _cut_off(self) -> None:
        """Give a peer that does not answer the close, or does not read, a few seconds."""
        if self.close_timer is None:
            self.close_timer = self.loop.call_later(_CUT_OFF_S, self.transport.abort)

    # -- uvicorn ----------------------------------------------------------------------------------

    async def run_asgi(self) -> None:
        try:
            await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except Exception:
            self.logger.exception("socket_endpoint_failed")
            self.send_500_response()
        if self.session is None and self.close_timer is None:
            self.transport.close()

    def handle_cont(self, event: Any) -> None:
        if len(self.frames) >= MOST_FRAGMENTS:
            self._refuse(_TOO_MANY_FRAGMENTS)
        elif not self.close_sent:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        session = self.session
        if session is None:
            super().send_receive_event_to_app()
            return
        frames, self.frames = self.frames, []
        if self.close_sent:
            return
        message = frames[0] if len(frames) == 1 else b"".join(frames)
        if (self.curr_msg_data_type == "bytes") is not self.binary:
            session.close(MALFORMED)
        elif self.binary or _is_text(message):
            session.receive(message)
        else:
            self._refuse(_BAD_TEXT)

    def _refuse(self, closing: Closing) -> None:
        if self.session is None:
            self.close(closing)
        else:
            self.session.close(closing)

    def handle_ping(self) -> None:
        super().handle_ping()
        session = self.session
        limit = session.hub.limits.queue_bytes if session else 0
        if self.transport.get_write_buffer_size() > limit and not self.transport.is_closing():
            if session is not None:
                session.lost()
            self.abort(SLOW)  # it pings, and reads no answer

    def handle_close(self, event: Any) -> None:
        super().handle_close(event)
        if self.session is not None:
            self.session.lost()
        if self.transport.get_write_buffer_size():
            self._cut_off()

    def handle_parser_exception(self) -> None:
        if self.session is not None:
            self.session.lost()
        super().handle_parser_exception()
        if self.transport.get_write_buffer_size():
            self._cut_off()

    def connection_lost(self, exc: Exception | None) -> None:
        self._descriptor = -1
        if self.session is not None:
            self.session.lost()
        super().connection_lost(exc)


def _is_text(message: bytes) -> bool:
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True
