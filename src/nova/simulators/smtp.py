"""A mail server that takes mail for everybody, and refuses it as it was told."""

import asyncio
import re
import warnings
from email import message_from_bytes, policy
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from msgspec import Struct

from nova.simulators.http import Answer, Asked, HttpServer, Peer
from nova.simulators.scripts import Received, Rule, Script, answer_json, steered

ANSWERS = {
    "unknown": "rcpt:550 5.1.1 There is no such mailbox",
    "disabled": "rcpt:550 5.2.1 The mailbox is disabled",
    "full": "rcpt:552 5.2.2 The mailbox is full",
    "policy": "rcpt:550 5.7.1 Not allowed by policy",
    "greylist": "rcpt:451 4.7.1 Greylisted, try again later",
    "busy": "mail:421 4.3.2 Too busy, closing",
    "sender": "mail:550 5.1.8 The sender's domain does not exist",
    "toobig": "data:552 5.3.4 The message is too big",
    "spam": "data:554 5.7.1 Looks like spam",
    "dkim": "data:550 5.7.20 No passing DKIM signature",
    "flood": "data:450 4.7.28 An unusual rate of mail from you",
    "later": "data:451 4.3.0 Try again later",
}
"""What a local part may begin with, before a dot; `mail` answers come by rules alone."""
_ANSWER = re.compile(r"(mail|rcpt|data):[45]\d\d( .*)?")
_BEHAVIOURS = {"drop"}
"""Cut the connection at RCPT, before anything was sent. `lost` cuts it after the mail."""


class Mail(Struct, frozen=True):
    """A mail as it arrived."""

    sender: str
    recipient: str
    raw: bytes
    answered: str

    def read(self) -> "Letter":
        """Return what its reader sees."""
        whole = message_from_bytes(self.raw, policy=policy.default)
        plain, html = whole.get_body(("plain",)), whole.get_body(("html",))
        return Letter(
            self.sender,
            self.recipient,
            {name: str(value) for name, value in whole.items()},
            "" if plain is None else plain.get_content(),
            None if html is None else html.get_content(),
            self.answered,
        )


class Letter(Struct, frozen=True):
    """A mail, decoded."""

    sender: str
    recipient: str
    headers: dict[str, str]
    plain: str
    html: str | None
    answered: str


class SmtpScript(Script):
    """Besides names, an answer may be `mail:`, `rcpt:` or `data:` and a reply of SMTP."""

    def __init__(self) -> None:
        super().__init__([*ANSWERS, *_BEHAVIOURS])

    def find_for_sender(self) -> Rule | None:
        """Return the rule for MAIL, which names no recipient yet."""
        return self.first(lambda rule: ANSWERS.get(rule.answer, rule.answer).startswith("mail:"))

    def add(self, rule: Rule) -> None:
        if _ANSWER.fullmatch(rule.answer):
            self.known |= {rule.answer}
        super().add(rule)


class _Handler:
    """What aiosmtpd calls."""

    def __init__(self, script: SmtpScript, received: Received[Mail]) -> None:
        self._script, self._received = script, received
        self._rule = Rule(answer="ok")

    async def handle_MAIL(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        rule = self._script.find_for_sender()
        if rule is not None:
            reply = ANSWERS.get(rule.answer, rule.answer).removeprefix("mail:")
            if reply.startswith("421"):
                _end_soon(server)
            return reply
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self._rule = rule = self._script.find(address)
        await asyncio.sleep(rule.after_s)
        reply = ANSWERS.get(rule.answer, rule.answer)
        if rule.answer == "drop":
            _cut(server)
        if reply.startswith("rcpt:"):
            self._keep(envelope, address, reply)
            return reply.removeprefix("rcpt:")
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        reply = ANSWERS.get(self._rule.answer, self._rule.answer)
        refused = reply.startswith("data:")
        self._keep(envelope, envelope.rcpt_tos[0], reply if refused else "")
        if self._rule.answer == "tarpit":
            await asyncio.Event().wait()
        if self._rule.answer == "lost":
            _cut(server)
        return reply.removeprefix("data:") if refused else "250 2.0.0 Queued"

    def _keep(self, envelope: Envelope, recipient: str, answered: str) -> None:
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        self._received.add(Mail(envelope.mail_from or "", recipient, raw, answered))


def _cut(server: SMTP) -> None:
    if isinstance(server.transport, asyncio.WriteTransport):
        server.transport.abort()


def _end_soon(server: SMTP) -> None:
    """Close after the answer has gone out."""
    if server.transport is not None:
        asyncio.get_running_loop().call_later(0.05, server.transport.close)


class SmtpSimulator:
    """SMTP on `port`; the control endpoint speaks HTTP on `server.port`."""

    def __init__(self, *, username: str = "", password: str = "", most_kept: int = 10_000) -> None:
        """With a name and a password, only who logs in may send."""
        self.script = SmtpScript()
        self.received: Received[Mail] = Received(most_kept, shown=Mail.read)
        self.server = HttpServer(self._steer)
        self.accepted = 0
        self._credentials = (username.encode(), password.encode())
        self._listening: asyncio.Server | None = None
        self._protocols: list[SMTP] = []
        self.host, self.port = "", 0

    async def start(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: Any = None,
        *,
        starttls: bool = False,
        control_port: int = 0,
    ) -> None:
        """`tls` is spoken from the beginning, or after STARTTLS."""
        loop = asyncio.get_running_loop()
        inner = tls if starttls else None
        self._listening = await loop.create_server(
            lambda: self._protocol(loop, inner), host, port, ssl=None if starttls else tls
        )
        self.host, self.port = self._listening.sockets[0].getsockname()[:2]
        await self.server.start(host, control_port)

    def _protocol(self, loop: asyncio.AbstractEventLoop, tls: Any) -> SMTP:
        self.accepted += 1
        wanted = bool(self._credentials[0])
        with warnings.catch_warnings():
            # aiosmtpd warns of passwords in clear; here nobody listens but this machine.
            warnings.simplefilter("ignore")
            protocol = SMTP(
                _Handler(self.script, self.received),
                hostname="simulator",
                ident="Nova simulator",
                enable_SMTPUTF8=True,
                tls_context=tls,
                auth_required=wanted,
                auth_require_tls=False,
                authenticator=self._authenticate if wanted else None,
                loop=loop,
            )
        self._protocols = [each for each in self._protocols if each.transport is not None]
        self._protocols.append(protocol)
        return protocol

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any
    ) -> AuthResult:
        right = isinstance(given, LoginPassword) and tuple(given) == self._credentials
        return AuthResult(success=right, handled=False)

    def _steer(self, asked: Asked, _peer: Peer) -> Answer:
        answer = steered(asked, self.script, self.received, [])
        return answer or answer_json(404, {"error": "only /simulator/… is here"})

    def cut(self) -> None:
        """Cut all connections."""
        for each in self._protocols:
            _cut(each)

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.close()
        self.cut()
        await self.server.close()
        if self._listening is not None:
            await self._listening.wait_closed()
