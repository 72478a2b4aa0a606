"""Titles and bodies: text with `{placeholders}`, filled in without evaluating anything."""

from nova.kernel import placeholders
from nova.kernel.errors import Invalid
from nova.kernel.placeholders import BadPlaceholder, Template

MOST_TITLE = 512
MOST_BODY = 10_000

FIELDS = (
    "actor.name",
    "actor.id",
    "recipient.name",
    "event.type",
    "event.id",
    "related_entity_id",
    "others",
    "count",
)
OTHERS = {
    "en": ("1 other", "{count} others"),
    "de": ("1 weiteren", "{count} weiteren"),
    "fr": ("1 autre", "{count} autres"),
    "es": ("1 más", "{count} más"),
}
"""How many more did the same: one, and several."""
SOMEONE = {"en": "Someone", "de": "Jemand", "fr": "Quelqu\u2019un", "es": "Alguien"}


class BadTemplate(Invalid):
    """A template cannot be read."""

    code = "bad_template"
    hint = (
        "Placeholders are {" + "}, {".join(FIELDS) + "} and {metadata.<key>}; "
        "{metadata.title|a post} gives the text to use when it is missing; {{ and }} are braces."
    )


def read(text: str, *, within_rtl: bool = False) -> Template:
    """Take a template apart, or raise BadTemplate with what is wrong and where."""
    try:
        return placeholders.read(text, FIELDS, within_rtl=within_rtl)
    except BadPlaceholder as bad:
        raise BadTemplate(bad.says, at=bad.at) from None
