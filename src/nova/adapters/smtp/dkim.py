"""Signatures by which receivers know that a mail comes from our domain (RFC 6376)."""

from pathlib import Path

import dkim

_SIGNED = (
    "from", "to", "subject", "date", "message-id", "references", "mime-version", "content-type",
    "content-language", "auto-submitted", "list-unsubscribe", "list-unsubscribe-post",
)  # fmt: skip
"""RFC 8058 (4) wants both headers of unsubscribing covered."""


class Signer:
    """Signs with one key, whose public half stands in the DNS under the selector."""

    def __init__(self, key: bytes, *, selector: str, domain: str) -> None:
        """`key` is an RSA key in PEM. Raises ValueError for one that cannot sign."""
        self._key = key
        self._selector, self._domain = selector.encode(), domain.encode()
        try:
            self.signed(b"From: a@b\r\n\r\n\r\n")
        except dkim.DKIMException as wrong:
            raise ValueError(f"the DKIM key cannot be used: {wrong}") from wrong

    def signed(self, message: bytes) -> bytes:
        """Return a mail with its signature before it."""
        head = message.partition(b"\r\n\r\n")[0].lower()
        present = [each.encode() for each in _SIGNED if _has(head, each)]
        signature: bytes = dkim.sign(
            message,
            self._selector,
            self._domain,
            self._key,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=present,
        )
        return signature + message


def _has(head: bytes, name: str) -> bool:
    return head.startswith(name.encode() + b":") or b"\r\n" + name.encode() + b":" in head


def signer(file: Path, *, selector: str, domain: str) -> Signer:
    """Read a key file; raises ValueError or OSError."""
    return Signer(file.read_bytes(), selector=selector, domain=domain)
