"""One click that ends mail of a type (RFC 8058): a POST does it, a GET only shows the button."""

from html import escape
from uuid import UUID

from nova.features.deliveries.asks import Preferences
from nova.kernel.errors import NotFound
from nova.web.cursors import BadCursor, Cursors

PATH = "/v1/unsubscribe/"
OWNER = "unsubscribe"

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Unsubscribe</title>
<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex"></head>
<body><h1>{heading}</h1>{inner}</body></html>"""
FORM = '<form method="post"><button type="submit">Unsubscribe</button></form>'


class NoSuchLink(NotFound):
    """This link was not made by this server, or is incomplete."""

    code = "no_such_link"
    hint = "Open the link in the mail as it is."


class Unsubscribe:
    """Makes links that say whose mail of what type is to end, and obeys them.

    A link holds for ever and needs no sign-in: who has the mail may end it, and nothing else.
    """

    def __init__(self, preferences: Preferences, secret: bytes, public_url: str) -> None:
        """Without a public address there are no links."""
        self._preferences = preferences
        self._tokens: Cursors[tuple[UUID, str]] = Cursors(secret, OWNER, tuple[UUID, str])
        self._url = public_url.rstrip("/")

    def link(self, user: UUID, kind: str) -> str | None:
        return f"{self._url}{PATH}{self.token(user, kind)}" if self._url else None

    def token(self, user: UUID, kind: str) -> str:
        return self._tokens.seal(OWNER, (user, kind))

    def page(self, token: str) -> str:
        """Return what a browser shows; nothing is changed."""
        _, kind = self._open(token)
        return PAGE.format(heading=f"No more mail about {escape(repr(kind))}?", inner=FORM)

    async def obey(self, token: str) -> str:
        """End the mail; doing so again is fine."""
        user, kind = self._open(token)
        await self._preferences.turn_off(user, kind, "email")
        return PAGE.format(
            heading="You are unsubscribed",
            inner=f"<p>There will be no more mail about {escape(repr(kind))}.</p>",
        )

    def _open(self, token: str) -> tuple[UUID, str]:
        try:
            return self._tokens.open(OWNER, token)
        except BadCursor:
            raise NoSuchLink from None
