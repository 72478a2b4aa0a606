"""Errors of mail templates and layouts: what is wrong, and at which field or line."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from nova.kernel.errors import Invalid, NotFound, TooMany


class Place(Struct, frozen=True, omit_defaults=True):
    """Something that is wrong."""

    field: str
    """The member, such as `templates.de.subject`."""
    says: str
    """What is wrong, and how to mend it."""
    character: int | None = None
    """Where in the text, counted from 1."""
    line: int | None = None
    """Where in the HTML."""
    column: int | None = None
    """Where in the line, counted from 1."""

    def __str__(self) -> str:
        where = self.field
        if self.line is not None:
            where += f", line {self.line}, column {self.column}"
        return f"{where}: {self.says}"


class BadMailTemplate(Invalid):
    """The mail template or layout cannot be used."""

    code = "bad_mail_template"
    hint = (
        "Each of `problems` names the field, and the line or character. The how-to "
        "'Send branded mail' lists placeholders, elements and attributes."
    )

    def __init__(self, problems: Sequence[Place]) -> None:
        more = f" ({len(problems) - 1} more problems)" if len(problems) > 1 else ""
        listed: list[dict[str, Any]] = [
            {name: value for name in each.__struct_fields__ if (value := getattr(each, name))}
            for each in problems
        ]
        super().__init__(f"{problems[0]}{more}", problems=listed)
        self.problems = problems


class TooManyMailTemplates(Invalid):
    """A deployment may have up to 500 mail templates."""

    code = "too_many_mail_templates"


class NoSuchMailTemplate(NotFound):
    """The app has no mail template of this type; Nova's own words are used."""

    code = "no_such_mail_template"
    hint = "GET /v1/mail-templates lists them."


class TooManyTrials(TooMany):
    """Too many mails were sent to try templates; wait a moment."""

    code = "too_many_test_mails"
