"""Home feeds through HTTP, for somebody who follows a thousand."""

from collections.abc import Sequence
from time import perf_counter

from nova.bench.client import Caller, ask_all, asked
from nova.bench.processes import Server
from nova.bench.receipts import percentile
from nova.web.tokens import mint

GOOD = range(200, 300)
READER = "user-1"
POSTS_EACH = 4
PAGE = 20


async def measure(server: Server, callers: Sequence[Caller], authors: int, pages: int) -> float:
    """Let one person follow many who post, and return the p95 of a first page, in milliseconds.

    `user-1` and the `authors` after it exist already.
    """
    names = [f"user-{number}" for number in range(2, authors + 2)]
    follows = [("PUT", f"/v1/users/{READER}/following/{name}", b"") for name in names]
    posts = [
        ("POST", f"/v1/posts?user={name}", b'{"text": "post %d, as long as most are"}' % number)
        for number in range(POSTS_EACH)
        for name in names
    ]
    for calls in (follows, posts):
        await ask_all(callers, calls, good=GOOD)
    reader = await Caller.open(server.host, server.port, mint(server.token_secret, READER))
    try:
        took = []
        for _ in range(pages):
            start = perf_counter()
            await asked(reader, "GET", f"/v1/feeds/home?limit={PAGE}")
            took.append(perf_counter() - start)
    finally:
        reader.close()
    return 1e3 * percentile(took, 0.95)
