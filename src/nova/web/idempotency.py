"""Idempotency-Key: a repeated POST gets the first one's answer."""

import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from hashlib import sha256

from structlog import get_logger

from nova.kernel.errors import Invalid, Refused, TooMany
from nova.ports.idempotency import Idempotency, Kept, StillRunning
from nova.web.problems import Answer, problem

_KEY = re.compile(rb"[\x21-\x7e]{1,255}")
_FAULTS = 500  # statuses from here on are Nova's fault, and worth another try


class BadKey(Invalid):
    """This Idempotency-Key cannot be used."""

    code = "bad_idempotency_key"
    hint = "Use 1 to 255 visible ASCII characters, such as a UUID."


class Repeats:
    """Runs a request once per key; `idempotency` None refuses keys."""

    def __init__(self, idempotency: Idempotency | None) -> None:
        self._kept = idempotency
        self._log = get_logger()

    async def once(
        self,
        owner: str,
        key: bytes,
        request: Sequence[bytes],
        run: Callable[[], Awaitable[Answer]],
        trace_id: str,
    ) -> Answer:
        """Run the request, or return what it was answered the first time.

        What it does and its answer are durable together. Refusals are kept like successes; 429
        and faults are not, since a retry may fare better.
        """
        if self._kept is None:
            raise BadKey("No keys are kept here.")
        if not owner:
            raise BadKey("A key belongs to somebody: send credentials too.")
        if _KEY.fullmatch(key) is None:
            raise BadKey
        name = key.decode()
        claim = await self._kept.claim(owner, name, _fingerprint(request))
        if isinstance(claim, Kept):
            return _answer(claim, (b"idempotency-replayed", b"true"))
        keep = partial(self._kept.keep, owner, name, claim)
        drop = partial(self._kept.drop, owner, name, claim)
        try:
            return await self._run(run, keep, trace_id)
        except BaseException:
            await self._safely(drop(), trace_id)
            raise

    async def _run(
        self,
        run: Callable[[], Awaitable[Answer]],
        keep: Callable[[Callable[[], Awaitable[Kept]]], Awaitable[Kept]],
        trace_id: str,
    ) -> Answer:
        """Run a request and keep its answer, or its refusal where the next would be the same."""

        async def answered() -> Kept:
            return _kept(await run())

        try:
            return _answer(await keep(answered))
        except (TooMany, StillRunning):
            raise
        except Refused as refused:
            if refused.status >= _FAULTS:
                raise
            told = _kept(problem(refused, trace_id))

        async def refusal() -> Kept:
            return told

        return _answer(await keep(refusal))

    async def _safely(self, writing: Awaitable[None], trace_id: str) -> None:
        """Let the request's own outcome stand when its key cannot be freed: the claim times out."""
        try:
            await writing
        except Refused as refused:
            self._log.warning("key_not_freed", error=refused.code, trace_id=trace_id)


def _fingerprint(request: Sequence[bytes]) -> bytes:
    digest = sha256()
    for part in request:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()


def _kept(answer: Answer) -> Kept:
    headers = [(a.decode(), b.decode()) for a, b in answer.headers]
    return Kept(answer.status, headers, answer.body)


def _answer(kept: Kept, *more: tuple[bytes, bytes]) -> Answer:
    headers = [(a.encode(), b.encode()) for a, b in kept.headers]
    return Answer(kept.status, [*headers, *more], kept.body)
