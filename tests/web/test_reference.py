"""The table of problem codes in the reference is the one in the code."""

from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import nova
from nova.kernel.errors import Refused
from nova.web.problems import kinds, title

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "http.md"
MARK = "<!-- made by: python tests/web/test_reference.py -->\n"
PROGRAMS = ("nova.bench", "nova.cli")


def imported() -> None:
    for module in walk_packages(nova.__path__, "nova."):
        if not module.name.startswith(PROGRAMS):
            import_module(module.name)


def table() -> str:
    imported()
    rows = ["| code | status | meaning |", "|---|---|---|"]
    rows += [f"| `{kind.code}` | {kind.status} | {title(kind)} |" for kind in kinds("nova.")]
    return "\n".join(rows) + "\n"


def test_every_problem_is_in_the_reference() -> None:
    _, _, written = PAGE.read_text("utf-8").partition(MARK)
    assert written == table(), "run: python tests/web/test_reference.py"


def family(kind: type[Refused]) -> Iterator[type[Refused]]:
    yield kind
    for each in kind.__subclasses__():
        yield from family(each)


def test_each_code_is_one_class_and_each_refusal_one_code() -> None:
    imported()
    own = [each for each in family(Refused) if each.__module__.startswith("nova.")]
    by_code = defaultdict(list)
    for each in own:
        if "code" in vars(each):  # what has none of its own is a case of its parent
            by_code[each.code].append(each)
    assert {code: kinds for code, kinds in by_code.items() if len(kinds) > 1} == {}
    names = [each.__name__ for each in own]
    assert sorted(names) == sorted(set(names))


if __name__ == "__main__":
    before, _, _ = PAGE.read_text("utf-8").partition(MARK)
    PAGE.write_text(before + MARK + table(), "utf-8")
