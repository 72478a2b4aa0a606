"""The carrier to mailboxes, through a relay."""

import ssl
from collections.abc import Callable

from aiosmtplib import SMTP, SMTPResponseException, SMTPServerDisconnected, SMTPTimeoutError

from nova.adapters.smtp.message import (
    BadAddress,
    HeaderInjection,
    Sender,
    address,
    message,
    message_id,
)
from nova.adapters.smtp.pool import BROKEN, Line, Pool, Refusal, Relay
from nova.adapters.smtp.rules import Stage, verdict
from nova.kernel.clock import Clock
from nova.kernel.errors import Unavailable
from nova.kernel.text import beginning
from nova.ports.carriers import Outcome, Parcel, Verdict
from nova.wire.exchange import Lost, Unsent
from nova.wire.outcomes import expired, judged, outcome

_REFUSED, _CLOSING = 400, 421


class SmtpUnreachable(Unavailable):
    """The mail server cannot be reached, or does not accept Nova."""

    code = "smtp_unreachable"
    hint = "Check smtp.host, smtp.port, smtp.security, and the credentials."


class Smtp:
    """Sends each mail to its one recipient."""

    name = "smtp"

    def __init__(
        self,
        relay: Relay,
        sender: Sender,
        *,
        tls: ssl.SSLContext,
        clock: Clock,
        sign: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """`sign` adds a signature to a whole mail."""
        self._pool = Pool(relay, tls)
        self._relay = relay
        self._sender = sender
        self._clock = clock
        self._sign = sign

    async def send(self, parcel: Parcel) -> Outcome:
        now = self._clock.now()
        if parcel.expires_at <= now:
            return expired(parcel.expires_at)
        try:
            to = address(parcel.target.address)
            mail = message(parcel, self._sender, to, now)
        except BadAddress as wrong:
            return outcome(Verdict.GONE, "bad_address", f"It is {wrong}.")
        except HeaderInjection as wrong:
            return outcome(Verdict.REFUSED, "header_injection", f"There is {wrong}.")
        if self._sign is not None:
            mail = self._sign(mail)
        return await judged(self._send(parcel, to, mail))

    async def _send(self, parcel: Parcel, to: str, mail: bytes) -> Outcome:
        try:
            return await self._sent(parcel, to, mail)
        except Refusal as refusal:
            return verdict(refusal.status, refusal.text, refusal.stage)

    async def _sent(self, parcel: Parcel, to: str, mail: bytes) -> Outcome:
        line = await self._pool.take()
        used = line.mails > 0
        try:
            try:
                return await self._transact(line, parcel, to, mail)
            finally:
                self._pool.give(line)
        except (Refusal, Unsent) as wrong:
            if not used or (isinstance(wrong, Refusal) and wrong.status != _CLOSING):
                raise
        # The server had ended a connection that waited: nothing was sent on it, so once more.
        line = await self._pool.take(fresh=True)
        try:
            return await self._transact(line, parcel, to, mail)
        finally:
            self._pool.give(line)

    async def _transact(self, line: Line, parcel: Parcel, to: str, mail: bytes) -> Outcome:
        client = line.client
        stage: Stage = "mail"
        try:
            line.mails += 1
            extended = "" if to.isascii() else " SMTPUTF8"
            if extended and not client.supports_extension("smtputf8"):
                text = "The mail server takes only addresses in ASCII."
                return outcome(Verdict.REFUSED, "no_smtputf8", text)
            await _step(client, b"MAIL", f"FROM:<{self._sender.address}>{extended}")
            stage = "rcpt"
            await _step(client, b"RCPT", f"TO:<{to}>")
            stage = "data"
            answer = await client.data(mail)
        except SMTPResponseException as refused:
            await self._reset(line, refused.code)
            raise Refusal(stage, refused.code, str(refused.message)) from refused
        except (SMTPServerDisconnected, SMTPTimeoutError, OSError) as wrong:
            line.drop()
            if stage == "data":
                raise Lost(f"the connection was lost after the mail: {wrong}") from wrong
            raise Unsent(f"the connection was lost before the mail: {wrong}") from wrong
        text = f"The mail server has it: {beginning(' '.join(answer.message.split()), 200)}"
        given = message_id(parcel, self._sender.domain)
        return outcome(Verdict.SENT, str(answer.code), text, provider_id=given)

    async def _reset(self, line: Line, status: int) -> None:
        """Make a connection ready for the next mail after a refusal."""
        if status == _CLOSING:
            line.drop()
            return
        try:
            await line.client.rset()
        except BROKEN:
            line.drop()

    async def ping(self) -> str:
        """Connect and log in, or ask an open connection whether it lives."""
        try:
            line = await self._pool.take()
            try:
                await line.client.noop()
            finally:
                self._pool.give(line)
        except (Refusal, Unsent, *BROKEN) as wrong:
            raise SmtpUnreachable(str(wrong)) from wrong
        return f"connected to {self._relay.host}:{self._relay.port}"

    async def close(self) -> None:
        await self._pool.close()


async def _step(client: SMTP, verb: bytes, argument: str) -> None:
    """Send a command: aiosmtplib's own `mail` and `rcpt` take longer to quote the address."""
    answer = await client.execute_command(verb, argument.encode())
    if answer.code >= _REFUSED:
        raise SMTPResponseException(answer.code, answer.message)
