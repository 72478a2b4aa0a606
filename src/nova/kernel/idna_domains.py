"""Convert a domain name to ASCII (IDNA2008, UTS 46)."""

import re

import idna

_MOST = 253
_ASCII = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.(?!$)|$))+")


class BadDomain(ValueError):
    """No name of a host, or one that IDNA2008 does not allow."""


def ascii_domain(name: str) -> str:
    """Return a domain with its labels in ASCII; one that has them already stays as it is.

    Not transitionally: faß.de is another domain than fass.de. Raises BadDomain.
    """
    try:
        converted = name if name.isascii() else idna.encode(name, uts46=True).decode()
        # Punycode that decodes to nothing names no host either.
        for label in converted.lower().split("."):
            if label.startswith("xn--") and label[4:].encode().decode("punycode").isascii():
                raise BadDomain(f"{label} is no label")
    except UnicodeError as wrong:  # idna's own errors, too
        raise BadDomain(str(wrong)) from wrong
    if len(converted) > _MOST or not _ASCII.fullmatch(converted):
        raise BadDomain("not the name of a host")
    return converted
