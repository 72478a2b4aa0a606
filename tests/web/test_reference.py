"""The table of problem codes in the reference is the one in the code."""

from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import nova
from nova.web.problems import kinds, title

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "http.md"
MARK = "<!-- made by: python tests/web/test_reference.py -->\n"
PROGRAMS = ("nova.bench", "nova.cli")


def table() -> str:
    for module in walk_packages(nova.__path__, "nova."):
        if not module.name.startswith(PROGRAMS):
            import_module(module.name)
    rows = ["| code | status | meaning |", "|---|---|---|"]
    rows += [f"| `{kind.code}` | {kind.status} | {title(kind)} |" for kind in kinds("nova.")]
    return "\n".join(rows) + "\n"


def test_every_problem_is_in_the_reference() -> None:
    _, _, written = PAGE.read_text("utf-8").partition(MARK)
    assert written == table(), "run: python tests/web/test_reference.py"


if __name__ == "__main__":
    before, _, _ = PAGE.read_text("utf-8").partition(MARK)
    PAGE.write_text(before + MARK + table(), "utf-8")
