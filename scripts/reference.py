"""Write the generated pages of docs/reference; `--check` fails when one is out of date."""

import sys
from pathlib import Path

from nova.cli.configure import reference

PAGES = {"settings.md": reference}
FOLDER = Path(__file__).parents[1] / "docs" / "reference"


def main() -> int:
    stale = []
    for name, make in PAGES.items():
        path, text = FOLDER / name, make() + "\n"
        if path.exists() and path.read_text("utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.write_text(text, "utf-8")
    if stale and "--check" in sys.argv:
        print(f"out of date: {', '.join(stale)}; run 'make docs'")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
