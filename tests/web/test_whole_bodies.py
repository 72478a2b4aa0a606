"""A request whose body is here already, and one whose body is not: what the server says of them."""

import asyncio

from starlette.types import Receive, Scope, Send

from nova.web.intake import is_whole
from nova.web.serve import bound, serve
from support.waiting import SOON_S

HEAD = b"POST / HTTP/1.1\r\nHost: nova\r\nContent-Length: 2\r\n\r\n"


async def test_the_server_says_whether_a_body_is_here() -> None:
    said: asyncio.Queue[bool] = asyncio.Queue()  # holds what this test asks for
    stop = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        said.put_nowait(is_whole(scope))
        while (await receive()).get("more_body"):
            pass
        said.put_nowait(is_whole(scope))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    address: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve(
            app,
            listener=bound(),
            listening=lambda *found: address.set_result(found),
            stop=stop,
            signals=False,
        )
    )
    async with asyncio.timeout(SOON_S):
        reader, writer = await asyncio.open_connection(*await address)
        writer.write(HEAD + b"{}")
        assert [await said.get(), await said.get()] == [True, True]
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"{")
        assert not await said.get()
        writer.write(b"}")
        assert await said.get()
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        stop.set()
        await serving


def test_a_server_that_says_nothing_of_it_is_waited_for() -> None:
    assert not is_whole({"type": "http"})
    assert not is_whole({"type": "http", "extensions": {}})
