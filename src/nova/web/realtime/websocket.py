"""WebSocket connections: uvicorn's protocol, with a short way in and out for the socket."""

import os
from asyncio import Event, Queue
from typing import Any, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from nova.web.connections import Guarded
from nova.web.event_loop_budget import SHARE, LoopBudget
from nova.web.realtime.codes import FLOODING, MALFORMED, SLOW, Closing
from nova.web.realtime.session import Session

DIRECT = "nova.direct"
"""The ASGI extension by which an endpoint gets the protocol, to speak to it without ASGI."""
MOST_FRAGMENTS = 256
"""Frames of one message."""
SLICE = 512
"""Bytes parsed at a time: up to 85 frames, after which it is seen whether others wait."""
EMPTY_PER_S, EMPTY_BURST = 32.0, 512
"""Frames without a command (pings, pongs, empty ones, small fragments) that a client may send."""
EMPTY_BEFORE = 64
"""Such frames before `connect`."""
MORE_BEFORE = 8192
"""Bytes before `connect`, besides the message that it comes in."""
STRIKES = 3
"""How often a client that sends more is read slowly, before it is closed."""
MOST_GATHERED = 65_536
"""Bytes for one client that wait for the end of the turn; more go out at once."""
SMALL = 128
"""Bytes of a fragment that counts as empty."""
_SUBPROTOCOL = "Sec-WebSocket-Protocol"
_WOULD_BLOCK = (BlockingIOError, InterruptedError)
_NO_COMMAND = b"{}\0 \t\r\n"
"""Bytes of messages that hold no command: blanks, and answers to pings in either encoding."""
_CUT_OFF_S = 5.0
_FLOOD_CUT_OFF_S = 1.0
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

    Frames go out by `os.write` when nothing waits before them, and through the transport's buffer
    otherwise, or as far as the kernel did not take them: bytes never overtake others. The frames of
    a turn of the loop are joined (see JoinedWrites). TLS goes through the transport alone. Once a
    session is attached, no task waits for the connection.
    """

    session: Session | None = None
    binary = False
    _descriptor = -1
    _gathered: list[bytes] | None = None
    """Frames that leave at the end of the turn."""
    _size = 0
    """Bytes of them."""
    _turn = -1
    """The turn of the loop in which a frame was written last."""
    _joins = False
    """Whether the last turn had several frames: then the next one will, and its first one waits."""
    _buffered = 0
    """Bytes that waited in the transport when it was looked at last; 0 is always true."""
    _unread = b""
    """What was read, and waits to be parsed from `_at` on; nothing more is read meanwhile."""
    _at = 0
    _queued = _held = _slowed = _flooded = False
    _empty = 0
    """Frames without a command in the slice that is being parsed."""
    _pings = 0
    _before = 0
    """Such frames before `connect`."""
    _full_at = 0.0
    """When the client may send a burst of them again (GCRA)."""
    _strikes = 0

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
        self._writes = cast("Guarded", self.config).writes
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
        self._resume()

    # -- nova.web.realtime.wires.Transport --------------------------------------------------------

    def write(self, frame: bytes) -> int:
        writes = self._writes
        if self._gathered is not None:
            self._gathered.append(frame)
            self._size += len(frame)
            if self._size > MOST_GATHERED:
                self.flush()
        elif self._turn == writes.turn or self._joins:
            self._gathered, self._size = [frame], len(frame)
            writes.add(self)
        else:
            self._turn = writes.turn
            if not writes.is_open:
                writes.begin()
            self._send(frame)
        if self._buffered:
            self._buffered = self.transport.get_write_buffer_size()
        return self._size + self._buffered

    def flush(self) -> None:
        """Write the frames that were gathered."""
        gathered, self._gathered, self._size = self._gathered, None, 0
        if gathered is not None:
            was_second = self._turn == self._writes.turn - 1  # the turn has ended by now
            self._joins = was_second or len(gathered) > 1
            self._send(gathered[0] if len(gathered) == 1 else b"".join(gathered))

    def _send(self, data: bytes) -> None:
        """Write to the kernel; nothing may follow a close frame."""
        transport = self.transport
        if self.close_sent or transport.is_closing():
            return
        if self._descriptor >= 0 and transport.get_write_buffer_size() == 0:
            try:
                sent = os.write(self._descriptor, data)
            except _WOULD_BLOCK:
                sent = 0
            except OSError:
                transport.abort()
                return
            if sent == len(data):
                return
            data = data[sent:]
        transport.write(data)
        self._buffered = transport.get_write_buffer_size()

    def close(self, closing: Closing) -> None:
        self.flush()
        if self.close_sent or self.transport.is_closing():
            return
        if closing.is_silent:
            self.close_sent = True
            self._cut_off()
            self.transport.close()
            return
        self.conn.send_close(closing.code, closing.reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.frames = []
        self._held = False
        if closing is FLOODING:
            self._end_flood()
        else:
            self._resume()
            self._cut_off()

    def abort(self, closing: Closing) -> None:  # noqa: ARG002  # no byte would get through
        self._gathered = None
        self.close_sent = True
        self.transport.abort()

    def hold(self) -> None:
        self._held = True
        self._pause()

    def flow(self) -> None:
        self._held = False
        self._resume()

    # -- reading ----------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._flooded:
            return
        if self.session is None and not self.handshake_initiated:
            super().data_received(data)
            return
        if self._unread or self._held or self._slowed or self.session is None:
            self._keep(data)
        elif len(data) > SLICE or self._budget.used_up:
            self._unread, self._at = data, 0
            self._too_early()
            self._pause()
            self._queue()
        else:
            self._parse(data)

    @property
    def _budget(self) -> LoopBudget:
        return cast("Guarded", self.config).budget

    def _keep(self, data: bytes) -> None:
        """Keep what came while other bytes wait."""
        self._unread, self._at = self._unread[self._at :] + data, 0
        self._too_early()
        self._pause()

    def _too_early(self) -> None:
        """End a client that sends more than its first message before it has said who it is."""
        most = cast("int", self.conn.max_message_size) + MORE_BEFORE
        if (self.session is None or self.session.user is None) and len(self._unread) > most:
            self._flood()

    def _pause(self) -> None:
        if not self.read_paused and not self.transport.is_closing():
            self.read_paused = True
            self.transport.pause_reading()

    def _resume(self) -> None:
        """Go on with what was read, then with what comes, unless something is in the way."""
        if self._held or self._slowed or self._flooded or self.transport.is_closing():
            return
        if self._unread:
            self._queue()
        elif self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def _queue(self) -> None:
        if not self._queued and self.session is not None:
            self._queued = True
            self._budget.later(self._work)

    def _work(self) -> None:
        """Parse this connection's share of a turn."""
        self._queued = False
        share = SHARE
        while self._unread and share > 0:
            if self._held or self._slowed or self._flooded or self.transport.is_closing():
                return
            end = self._at + SLICE
            data = self._unread[self._at : end]
            self._at = end
            if end >= len(self._unread):
                self._unread, self._at = b"", 0
            share -= self._parse(data)
        self._resume()

    def _parse(self, data: bytes) -> int:
        """Parse some bytes and do what they say; return how many units of work that was."""
        self.conn.receive_data(data)
        units = 1 + len(self.conn.events)
        self._budget.spend(units)
        if self.conn.parser_exc is not None:
            self._unread = b""
            self.handle_parser_exception()
            return units
        self.handle_events()
        if self._pings:
            self._pong()
        if self._empty:
            self._charge()
        return units

    def _pong(self) -> None:
        """Answer the latest ping; those before need no answer (RFC 6455 5.5.3)."""
        self._pings = 0
        pongs = self.conn.data_to_send()
        if not pongs or self.transport.is_closing():
            return
        self.transport.write(pongs[-1])
        session = self.session
        limit = session.hub.limits.queue_bytes if session else 0
        if self.transport.get_write_buffer_size() > limit:
            if session is not None:
                session.lost()
            self.abort(SLOW)  # it pings, and reads no answer

    def _charge(self) -> None:
        """Count frames without a command; read a client that sends many slowly, then end it."""
        count, self._empty = self._empty, 0
        if self.session is not None and self.session.user is None:
            self._before += count
            if self._before > EMPTY_BEFORE:
                self._flood()
            return
        now = self.loop.time()
        self._full_at = max(self._full_at, now) + count / EMPTY_PER_S
        wait = self._full_at - now - EMPTY_BURST / EMPTY_PER_S
        if wait <= 0:
            return
        self._strikes += 1
        if self._strikes > STRIKES:
            self._flood()
        elif not self._slowed and not self._flooded:
            self._slowed = True
            self._pause()
            self.loop.call_later(wait, self._unslow)

    def _unslow(self) -> None:
        self._slowed = False
        self._resume()

    def _flood(self) -> None:
        """End a client that sends far more than it may."""
        if self.close_sent:
            self._end_flood()
        else:
            self._refuse(FLOODING)

    def _end_flood(self) -> None:
        """Read nothing more; a flood would go on in the time that others have to answer a close."""
        self._flooded, self._unread = True, b""
        self._pause()
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(_FLOOD_CUT_OFF_S, self.transport.abort)

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
        if not event.fin and len(event.data) < SMALL:
            self._empty += 1
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
        message = frames[0] if len(frames) == 1 else b"".join(frames)
        if self.close_sent or not message.strip(_NO_COMMAND):
            self._empty += 1
        if self.close_sent:
            return
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
        self._pings += 1
        self._empty += 1

    def handle_pong(self, event: Any) -> None:  # noqa: ARG002  # Nova's own pings are messages
        self._empty += 1

    def handle_close(self, event: Any) -> None:
        self.flush()
        super().handle_close(event)
        if self.session is not None:
            self.session.lost()
        if self.transport.get_write_buffer_size():
            self._cut_off()

    def handle_parser_exception(self) -> None:
        if self.session is not None:
            self.session.lost()
        self.flush()
        super().handle_parser_exception()
        if self.transport.get_write_buffer_size():
            self._cut_off()

    def connection_lost(self, exc: Exception | None) -> None:
        self._descriptor = -1
        self._gathered = None
        self._unread = b""
        if self.session is not None:
            self.session.lost()
        super().connection_lost(exc)
        self._let_go()

    def _let_go(self) -> None:
        """End the cycles that would keep all this until the collector of garbage comes by."""
        self.session = None
        self.conn.parser.close()
        if (scope := getattr(self, "scope", None)) is not None:
            cast("dict[str, Any]", scope["extensions"]).clear()


def _is_text(message: bytes) -> bool:
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True
