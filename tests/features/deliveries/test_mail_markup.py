"""HTML of the app's own in mails: what is allowed, what is not, and how that is said."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from nova.features.deliveries.mail.faults import BadMailTemplate
from nova.features.deliveries.mail.layout import Layout
from nova.features.deliveries.mail.markup import ATTRIBUTES, ELEMENTS, Markup
from nova.features.deliveries.mail.models import LAYOUT_EXAMPLE, LayoutWords, Logo, MailLayout
from nova.features.deliveries.mail.writing import Design, Letter

NEEDED = "{body}{unsubscribe}"
PIXEL: Any = LAYOUT_EXAMPLE["logo"]


def problems(html: str) -> list[str]:
    return [each.says for each in Markup(html).problems]


def letter(**fields: Any) -> Letter:
    said: dict[str, Any] = {
        "type": "like",
        "title": "Ada liked your post",
        "body": "My first post",
        "url": "https://app.example/posts/1",
        "unsubscribe_url": "https://nova.example/u/1",
        "locale": "en",
        "reader": "en",
    }
    return Letter(**said | fields)


@pytest.mark.parametrize(
    "html",
    [
        "<p>Fish &amp; chips &lt;3</p>",
        '<table role="presentation"><tr><td style="color:{color.text}">x</td></tr></table>',
        '<a href="https://app.example/?a=1&amp;b=2">x</a><br><hr/>',
        '<a href="mailto:help@app.example">x</a>',
        '<a href="{home}">{brand}</a>',
        '<img src="{logo.src}" alt="{brand}" width="120">',
        '<td align="{align}" bgcolor="{color.surface}" style="color:rgb(1,2,3)">{{braces}}</td>',
    ],
)
def test_what_mails_are_made_of_is_allowed(html: str) -> None:
    assert problems(html) == []


@pytest.mark.parametrize(
    ("html", "says"),
    [
        ("<script>alert(1)</script>", "<script> is not allowed"),
        ("<style>p{}</style>", "<style> is not allowed"),
        ("<form></form>", "<form> is not allowed"),
        ("<svg></svg>", "<svg> is not allowed"),
        ("<iframe></iframe>", "<iframe> is not allowed"),
        ("<link>", "<link> is not allowed"),
        ('<p onclick="x"></p>', "attribute onclick is not allowed"),
        ('<p ONCLICK="x"></p>', "attribute onclick is not allowed"),
        ('<td background="https://x.example/y"></td>', "attribute background is not allowed"),
        ('<a href="javascript:alert(1)">x</a>', "An href is"),
        ('<a href="javas&#99;ript:alert(1)">x</a>', "An href is"),
        ('<a href="&#x0a;javascript:alert(1)">x</a>', "An href is"),
        ('<a href="data:text/html,x">x</a>', "An href is"),
        ('<a href="http://app.example/">x</a>', "An href is"),
        ('<a href="https://app.example/{body}">x</a>', "An href is"),
        ('<img src="https://tracker.example/1.gif">', "A src is {logo.src}"),
        ('<img src="data:image/png;base64,x">', "A src is {logo.src}"),
        ('<p style="background:url(https://x.example)"></p>', "calls no url()"),
        ('<p style="background:u\\72l(https://x.example)"></p>', "A style has no"),
        ('<p style="background:image-set(x)"></p>', "calls no image-set()"),
        ('<p style="width:expression(1)"></p>', "A style has no"),
        ('<p style="@import x"></p>', "A style has no"),
        ("<p>{home}</p>", "cannot stand in the text"),
        ('<p title="{body}">x</p>', "cannot stand in the attribute title"),
        ('<p style="{body}">x</p>', "cannot stand in the attribute style"),
        ("<!-- x -->", "Comments, doctypes"),
        ("<!doctype html>", "Comments, doctypes"),
        ("a < b", "write &lt;"),
        ("<p class=x>y</p>", "attributes are name"),
        ("<p", "attributes are name"),
        ("<p><b>x</p></b>", "</p> closes nothing; <b> of line 1 is open"),
        ("<p>", "<p> is never closed"),
        ("</p>", "</p> closes nothing."),
        ("<b>" * 101, "more than 100 elements"),
    ],
)
def test_everything_else_is_refused_with_what_to_do(html: str, says: str) -> None:
    assert any(says in each for each in problems(html)), problems(html)


def test_a_problem_says_its_line_and_column() -> None:
    (found,) = Markup("<p>\n  <b>\n</b> <u onload='1'>x</u></p>").problems
    assert (found.line, found.column) == (3, 6)
    with pytest.raises(BadMailTemplate) as refused:
        Layout(MailLayout(html="<p>\n é {bodi}</p>"))
    assert "html, line 2, column 4: There is no placeholder {bodi}" in str(refused.value)
    assert "did you mean {body}?" in str(refused.value)


@given(some.text(alphabet="<>/'\"= abip{}!-&;:\n", max_size=200))
def test_what_is_written_has_allowed_elements_only(html: str) -> None:
    """Whatever is read: with no problem said, a second reading finds the very same."""
    markup = Markup(html)
    if markup.problems:
        return
    assert set(re.findall(r"<\s*/?([a-z0-9]+)", markup.html)) <= ELEMENTS
    assert set(re.findall(r'<[^>]* ([a-z-]+)="', markup.html)) <= ATTRIBUTES
    assert Markup(markup.html).html == markup.html


@pytest.mark.parametrize(
    ("layout", "field", "says"),
    [
        ({"html": "{unsubscribe}"}, "html", "{body} is missing"),
        ({"html": "{body}"}, "html", "{unsubscribe} is missing"),
        ({"html": NEEDED + '<a href="{home}">x</a>'}, "url", "give one"),
        ({"html": NEEDED + '<img src="{logo.src}">'}, "logo", "give a logo"),
        ({"logo": Logo(image="????")}, "logo.image", "not base64"),
        ({"logo": Logo(image="aGVsbG8=")}, "logo.image", "neither a PNG"),
        ({"logo": Logo(image="PHN2Zz48L3N2Zz4=")}, "logo.image", "neither a PNG"),
        ({"logo": Logo(image="iVBORw0KGgo=")}, "logo.image", "neither a PNG"),
    ],
)
def test_a_layout_is_refused_with_the_field(layout: Any, field: str, says: str) -> None:
    with pytest.raises(BadMailTemplate) as refused:
        Layout(MailLayout(**layout))
    assert any(each.field == field and says in each.says for each in refused.value.problems)


def test_the_logo_comes_with_the_mail_and_is_named_in_it() -> None:
    design = Design(MailLayout(name="Harbour", url="https://h.example/", logo=Logo(**PIXEL)))
    mail = design.write(letter())
    assert mail.image is not None
    assert f'<img src="cid:{mail.image.cid}" alt="Harbour" width="120" height="120"' in mail.html
    assert re.findall(r'src="(?!cid:)', mail.html) == []
    assert design.images()[f"cid:{mail.image.cid}"].startswith("data:image/png;base64,iVBOR")


def test_html_of_the_app_stands_around_its_words() -> None:
    html = (
        '<div class="mine" style="color:{color.accent}">{heading}{body}</div>{footer}{unsubscribe}'
    )
    mail = Design(MailLayout(html=html)).write(letter(title="<b>"))
    assert '<div class="mine" style="color:#1d4ed8"><h1' in mail.html
    assert "&lt;b&gt;" in mail.html
    assert 'href="https://nova.example/u/1"' in mail.html
    assert "app.example/posts/1" not in mail.html  # it has no {button}


def test_a_language_without_words_has_the_footer_of_another_and_its_own_links() -> None:
    words = {"en": LayoutWords(footer="1 Pier Road", unsubscribe="Stop")}
    design = Design(MailLayout(words=words))
    mail = design.write(letter(locale="de"))
    assert "1 Pier Road" in mail.text
    assert "Solche Mails abbestellen: https://nova.example/u/1" in mail.text
    assert "Stop: https://nova.example/u/1" in design.write(letter()).text
