"""A webhook of uvicorn; argument: its parser of HTTP."""

import socket
import sys
from typing import Any

import uvicorn


async def webhook(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
config = uvicorn.Config(webhook, http=sys.argv[1], lifespan="off", log_level="error")
uvicorn.Server(config).run(sockets=[listener])
