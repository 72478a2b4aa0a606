"""The logo of mails: an image that is checked when it is stored, and embedded in each mail."""

import re
from base64 import b64decode, encodebytes
from binascii import Error
from hashlib import sha256
from struct import unpack

from msgspec import Struct

from nova.features.deliveries.mail.models import MOST_LOGO, Logo
from nova.ports.carriers import Image

_MOST_PIXELS, _PNG_HEAD, _GIF_HEAD = 4_000, 24, 10
_PNG, _GIF, _JPEG = b"\x89PNG\r\n\x1a\n", (b"GIF87a", b"GIF89a"), b"\xff\xd8\xff"
_FRAME = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]..\x08(..)(..)", re.DOTALL)


class BadImage(ValueError):
    """Not an image that mails can carry."""


class Picture(Struct, frozen=True):
    """A logo, and how large it is shown."""

    image: Image
    width: int
    height: int

    @property
    def data_uri(self) -> str:
        return f"data:{self.image.kind};base64,{self.image.content.replace(chr(10), '')}"


def picture(logo: Logo) -> Picture:
    """Read a logo; raises BadImage."""
    try:
        raw = b64decode(logo.image, validate=True)
    except (Error, ValueError) as wrong:
        raise BadImage(f"it is not base64: {wrong}") from wrong
    if len(raw) > MOST_LOGO:
        raise BadImage(f"it has {len(raw)} bytes, more than {MOST_LOGO}")
    kind, width, height = _looked_at(raw)
    if not (0 < width <= _MOST_PIXELS and 0 < height <= _MOST_PIXELS):
        raise BadImage(f"it is {width} times {height} pixels large, and not 1 to {_MOST_PIXELS}")
    shown = logo.width or min(width, 560)
    cid = f"logo-{sha256(raw).hexdigest()[:16]}@nova"
    content = encodebytes(raw).decode().rstrip("\n")
    return Picture(Image(cid, kind, content), shown, max(1, round(height * shown / width)))


def _looked_at(raw: bytes) -> tuple[str, int, int]:
    """Return media type, width and height of an image."""
    if raw.startswith(_PNG) and raw[12:16] == b"IHDR" and len(raw) >= _PNG_HEAD:
        return "image/png", *unpack(">II", raw[16:24])
    if raw.startswith(_GIF) and len(raw) >= _GIF_HEAD:
        return "image/gif", *unpack("<HH", raw[6:10])
    if raw.startswith(_JPEG) and (frame := _FRAME.search(raw)):
        return "image/jpeg", unpack(">H", frame[2])[0], unpack(">H", frame[1])[0]
    raise BadImage("it is neither a PNG, nor a JPEG, nor a GIF")
