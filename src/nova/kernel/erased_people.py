"""Ids and search terms of erased people, and a function that redacts them in a text."""

import re
from collections.abc import Sequence
from functools import cached_property
from uuid import UUID

import msgspec
from msgspec import Struct

NOBODY = str(UUID(int=0))
"""Stands in texts in place of the id of somebody who was erased."""
MENTION = "@…"
"""Stands in texts in place of a mention of somebody who was erased."""
TELLING = 8
"""A shorter id of the app's is not looked for as any text of JSON: it may mean something else."""
FIELDS = ("actor_id", "recipient_id", "external_id")
"""Fields of JSON whose text is a user's id, however short."""


class Erased(Struct, frozen=True, dict=True):
    """People who were erased, whose last traces are being removed."""

    ids: Sequence[UUID]
    names: Sequence[str]
    """The host app's own ids of them."""
    addresses: Sequence[str] = ()
    """Mail addresses, and tokens of devices."""

    @cached_property
    def id_words(self) -> list[str]:
        """Their Nova ids, in both spellings."""
        return [word for id_ in self.ids for word in (str(id_), id_.hex)]

    @cached_property
    def words(self) -> list[str]:
        """Texts of which one is in each record, answer or publication that names one of them."""
        return [*self.id_words, *(word for name in self.names for word in _words(name))]

    @cached_property
    def telling(self) -> list[str]:
        """Ids that are long enough to be looked for within other words, such as ids of events."""
        return [*self.id_words, *self._telling_names]

    @cached_property
    def patterns(self) -> list[str]:
        """Regular expressions of PostgreSQL, one for each of `telling`.

        An id of the app's counts where no letter or digit stands next to it: `user-181` is not in
        `like-user-1815`.
        """
        names = (
            f"(?<![[:alnum:]]){re.escape(name)}(?![[:alnum:]])" for name in self._telling_names
        )
        return [*self.id_words, *names]

    @cached_property
    def _telling_names(self) -> list[str]:
        return [name for name in self.names if len(name) >= TELLING]

    def without_in_id(self, id_: str) -> str:
        """Return an id of something else, such as an event's, without theirs within it."""
        for name in self._telling_names:
            id_ = re.sub(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", NOBODY, id_)
        return self.without(id_)

    def without_as_id(self, id_: str) -> str:
        """Return what an event is about: nobody, where that is one of them."""
        return NOBODY if id_ in self._telling_names else self.without(id_)

    def without(self, text: str) -> str:
        """Return a text of somebody else, which may be JSON, without their ids and mentions."""
        for id_ in self.ids:
            text = text.replace(str(id_), NOBODY).replace(id_.hex, UUID(int=0).hex)
        for name in self.names:
            text = re.sub(
                rf"[@\uff20]{re.escape(name)}(?![\w])", MENTION, text, flags=re.IGNORECASE
            )
            if len(name) >= TELLING:
                text = text.replace(_json(name), f'"{NOBODY}"')
        return text


def _words(name: str) -> list[str]:
    if len(name) >= TELLING:
        return [_json(name), f"@{name}"]
    return [f'"{field}":{_json(name)}' for field in FIELDS] + [f"@{name}"]


def _json(text: str) -> str:
    return msgspec.json.encode(text).decode()
