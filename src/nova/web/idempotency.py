"""Idempotency-Key: a repeated POST gets the first one's answer."""

import re
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256

from structlog import get_logger

from nova.kernel.errors import Invalid, Refused, TooMany
from nova.ports.idempotency import Idempotency, Kept
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

        Refusals are kept like successes; 429 and faults are not, since a retry may fare better.
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
            return _replayed(claim)
        done = False
        try:
            answer = await _answered(run, trace_id)
            done = True
        finally:
            if not done:
                await self._safely(self._kept.drop(owner, name, claim), trace_id)
        headers = [(a.decode(), b.decode()) for a, b in answer.headers]
        kept = Kept(answer.status, headers, answer.body)
        await self._safely(self._kept.keep(owner, name, claim, kept), trace_id)
        return answer

    async def _safely(self, writing: Awaitable[None], trace_id: str) -> None:
        """Let the request's own outcome stand when it cannot be kept: the claim times out."""
        try:
            await writing
        except Refused as refused:
            self._log.warning("answer_not_kept", error=refused.code, trace_id=trace_id)


async def _answered(run: Callable[[], Awaitable[Answer]], trace_id: str) -> Answer:
    try:
        return await run()
    except TooMany:
        raise
    except Refused as refused:
        if refused.status >= _FAULTS:
            raise
        return problem(refused, trace_id)


def _fingerprint(request: Sequence[bytes]) -> bytes:
    digest = sha256()
    for part in request:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()


def _replayed(kept: Kept) -> Answer:
    headers = [(a.encode(), b.encode()) for a, b in kept.headers]
    return Answer(kept.status, [*headers, (b"idempotency-replayed", b"true")], kept.body)
