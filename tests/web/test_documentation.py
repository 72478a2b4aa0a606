"""The pages at /docs: guides as they are written, and the API by groups."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from nova.kernel.errors import Conflict
from nova.web.documentation.site import pages
from support.http import People, api_client
from support.parts import DOCUMENT, PARTS

INDEX = """# Guides

## Do
- [Send `parts`](how-to/send.md)
"""
GUIDE = """# Send parts

See [the start](../index.md), [below](#below), [the read me](../../README.md#top) and
[elsewhere](https://example.com/x.md).

## Below & beyond
Wheels are <b>round</b>.

## Below & beyond

| a | b |
|---|---|
| 1 | 2 |

```sh
echo '<wheel>'
```
"""


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    folder = tmp_path / "docs"
    (folder / "how-to").mkdir(parents=True)
    (folder / "index.md").write_text(INDEX)
    (folder / "how-to/send.md").write_text(GUIDE)
    (tmp_path / "README.md").write_text("# Read me\n")
    async with api_client(PARTS, People("ada"), mounts=pages(DOCUMENT, folder)) as client:
        yield client


async def test_a_page_takes_nothing_from_elsewhere_and_runs_nothing_inline(
    client: httpx.AsyncClient,
) -> None:
    for path in ("/docs", "/docs/", "/docs/api/parts", "/docs/problems", "/docs/how-to/send"):
        answer = await client.get(path)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        policy = answer.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "style-src 'self'"} <= set(policy)
        assert "<style" not in answer.text
        assert " style=" not in answer.text
        assert re.findall(r"<script[^>]*>(.*?)</script>", answer.text) == [""]
        assert not re.findall(r'(?:src|<link [^>]*href)="http', answer.text)


async def test_a_page_that_did_not_change_is_not_sent_again(client: httpx.AsyncClient) -> None:
    etag = (await client.get("/docs/how-to/send")).headers["etag"]
    again = await client.get("/docs/how-to/send", headers={"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")


async def test_links_between_guides_lead_to_their_pages(client: httpx.AsyncClient) -> None:
    html = (await client.get("/docs/how-to/send")).text
    text = html.partition("<main>")[2].partition("</main>")[0]
    assert re.findall(r'href="([^"]*)"', text) == [
        *("/docs", "#below", "/docs/readme#top", "https://example.com/x.md"),
    ]


async def test_headings_are_named_as_github_names_them(client: httpx.AsyncClient) -> None:
    html = (await client.get("/docs/how-to/send")).text
    assert re.findall(r'<h\d id="([^"]*)"', html) == [
        *("send-parts", "below--beyond", "below--beyond-1"),
    ]


async def test_the_navigation_lists_guides_groups_and_problems(client: httpx.AsyncClient) -> None:
    html = (await client.get("/docs/how-to/send")).text
    contents = html.partition("<nav")[2]
    links = re.findall(r'<a href="([^"]*)"( aria-current="page")?>([^<]*)</a>', contents)
    current = ' aria-current="page"'
    assert links[:3] == [
        *(("/docs", "", "Contents"), ("/docs/readme", "", "Read me")),
        ("/docs/how-to/send", current, "Send parts"),
    ]
    assert ("/docs/api/parts", "", "Parts") in links
    assert links[-1] == ("/docs/problems", "", "Problems")


async def test_every_operation_is_on_the_page_of_its_group(client: httpx.AsyncClient) -> None:
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            html = (await client.get(f"/docs/api/{operation['tags'][0]}")).text
            assert f'id="op-{operation["operationId"]}"' in html
            assert f'href="#op-{operation["operationId"]}"' in html


async def test_fields_have_types_and_sentences_and_say_what_is_required(
    client: httpx.AsyncClient,
) -> None:
    html = (await client.get("/docs/api/parts")).text
    assert '<code>name</code> <span class="need">required</span>' in html
    assert "<code>sizes</code></th><td>list of integer" in html
    assert "<td>integer (1 to 100), default 20</td><td>How many, at <code>most</code>.</td>" in html


async def test_what_routes_say_is_text_on_the_page(client: httpx.AsyncClient) -> None:
    html = (await client.get("/docs/api/parts")).text
    assert "List parts &amp; pieces" in html
    assert "<code>&lt;script&gt;</code> is text" in html
    assert "&lt;wheel&gt;" in html
    assert "<wheel>" not in html


async def test_a_call_is_shown_in_three_languages_and_in_one_without_scripts(
    client: httpx.AsyncClient,
) -> None:
    html = (await client.get("/docs/api/parts")).text
    for name, hidden in (("curl", ""), ("Python", " hidden"), ("JavaScript", " hidden")):
        assert f'<pre tabindex="0" data-of="{name}"{hidden}>' in html
    assert "curl -H &quot;Authorization: Bearer $TOKEN&quot; http://nova/v1/users/me/parts" in html


async def test_a_problem_leads_to_its_row(client: httpx.AsyncClient) -> None:
    refused = (await client.get("/v1/nothing")).json()
    page, _, code = refused["type"].partition("#")
    html = (await client.get(page)).text
    for each in (code, Conflict.code, "idempotency_key_reused"):
        assert f'<tr id="{each}">' in html


async def test_the_search_finds_headings_operations_and_problems(
    client: httpx.AsyncClient,
) -> None:
    found = {one["url"]: one for one in (await client.get("/docs/search.json")).json()}
    below = found["/docs/how-to/send#below--beyond"]
    assert (below["title"], below["within"]) == ("Below & beyond", "Send parts")
    assert "Wheels are" in below["text"]
    assert "echo" in found["/docs/how-to/send#below--beyond-1"]["text"]
    assert found["/docs/api/parts#op-post_parts"]["title"] == "Add a part"
    assert found["/docs/problems#not_found"]["within"] == "404"
