"""What operators and their machines ask: alive, ready, and the metrics."""

from asyncio import gather, timeout
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol, cast

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nova.web.problems import Answer, problem
from nova.web.router import MethodNotAllowed
from nova.web.traces import joined

Ping = Callable[[], Awaitable[str]]
"""Returns what is there, such as a version; raises when it is not."""


async def answer(send: Send, status: int, kind: str, body: bytes) -> None:
    """Send a whole answer that nobody may keep."""
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def read_only(app: ASGIApp) -> ASGIApp:
    """Answer GET with `app`, HEAD without the body, and every other method with what is allowed."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 4404, "reason": "no WebSocket here"})
        elif scope["method"] == "GET":
            await app(scope, receive, send)
        elif scope["method"] == "HEAD":
            await app(scope, receive, _without_body(send))
        elif scope["method"] == "OPTIONS":
            await whole(send, Answer(204, [(b"allow", _READ.encode())], b""))
        else:
            await whole(send, problem(MethodNotAllowed(_READ), joined(None).id))

    return answered


def _without_body(send: Send) -> Send:
    async def headers_alone(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return headers_alone


_READ = "GET, HEAD, OPTIONS"


async def whole(send: Send, answer: Answer) -> None:
    """Send an answer, with its length."""
    headers = answer.headers
    if answer.body:
        headers = [*headers, (b"content-length", b"%d" % len(answer.body))]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def healthz(scope: Scope, _receive: Receive, send: Send) -> None:
    """Say that this process answers, and touch nothing else."""
    if scope["type"] == "http":
        await answer(send, 200, "application/json", b'{"status":"alive"}')


class Readiness:
    """Ready when everything that this process needs answers, and it is not about to end."""

    def __init__(
        self,
        pings: Mapping[str, Ping],
        *,
        spared: Mapping[str, Ping] | None = None,
        within_s: float = 2.0,
    ) -> None:
        """Both may still be filled after this: they are read at each request.

        Without what is `spared` this process answers all the same, if less well: it is shown.
        """
        self._pings = pings
        self._spared = {} if spared is None else spared
        self._within_s = within_s
        self._draining = False

    def show(self, name: str, ping: Ping) -> None:
        """From now on, show something else that this process can do without."""
        self._spared = {**self._spared, name: ping}

    def drain(self) -> None:
        """Be unready from now on."""
        self._draining = True

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, said = await self.check()
        body = msgspec.json.encode({"status": status, "checks": said})
        await answer(send, 200 if status == "ready" else 503, "application/json", body)

    async def check(self) -> tuple[str, dict[str, str]]:
        """Return "ready", "draining" or "unready", and what each ping said."""
        said = await asked({**self._pings, **self._spared}, self._within_s)
        checks = {name: text for name, (_, text) in said.items()}
        if self._draining:
            return "draining", checks
        return ("ready" if all(said[name][0] for name in self._pings) else "unready"), checks


async def asked(pings: Mapping[str, Ping], within_s: float) -> dict[str, tuple[bool, str]]:
    """Ask all at once; return by name whether it is there, and what it said or the reason."""
    said = await gather(*(_ask(ping, within_s) for ping in pings.values()))
    return dict(zip(pings, said, strict=True))


async def _ask(ping: Ping, within_s: float) -> tuple[bool, str]:
    try:
        async with timeout(within_s):
            return True, await ping()
    except TimeoutError:
        return False, f"no answer within {within_s:g} s"
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the reason
        return False, f"{type(error).__name__}: {error}"


class Collected(Protocol):
    """Metrics, such as those of a registry."""

    def collect(self) -> Iterable[Metric]: ...


def shown(collected: Collected) -> bytes:
    """Return metrics in the format of Prometheus."""
    return generate_latest(cast("CollectorRegistry", collected))  # it only collects


def metrics(collected: Collected) -> ASGIApp:
    """Return the app of `/metrics`."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(send, 200, CONTENT_TYPE_LATEST, shown(collected))

    return app
