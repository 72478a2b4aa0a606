"""What must be true of the house as a whole."""

import re
from pathlib import Path

from nova.ports.database import Pool

ROOT = Path(__file__).parents[2]
TENANTS = re.compile(r"(^|_)(tenant|app|organi[sz]ation|workspace)(_id)?$")

COLUMNS = """
select table_schema || '.' || table_name || '.' || column_name as name, column_name
from information_schema.columns
where table_schema not in ('pg_catalog', 'information_schema')
"""


async def test_no_column_is_a_tenants(pool: Pool) -> None:
    rows = await pool.fetch(COLUMNS)
    assert len(rows) > 50
    # A device says which of the host app's programs it runs; that is no tenant.
    found = [row["name"] for row in rows if TENANTS.search(row["column_name"])]
    assert found == ["accounts.devices.app"]


def test_no_pattern_is_shown_to_people() -> None:
    """Each is spelled: refusals say in words what is expected."""
    found = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "src").rglob("*.py")
        if re.search(r"\bpattern=", path.read_text("utf-8"))
    ]
    assert found == ["src/nova/kernel/text.py"]


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_every_page_of_the_documentation_is_on_its_map() -> None:
    docs = ROOT / "docs"
    linked = set(re.findall(r"\]\(([^)]+\.md)\)", (docs / "index.md").read_text("utf-8")))
    pages = {str(page.relative_to(docs)) for page in docs.rglob("*.md")} - {"index.md"}
    assert pages == linked
