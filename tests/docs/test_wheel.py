"""The wheel carries the guides, so that an installed server serves those of its own version."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]
SERVED = """
from nova.app.serving import browser_folder, guides_folder
from nova.web.documentation.guides import Guides

assert (browser_folder() / "docs/docs.css").exists()
print(*Guides(guides_folder()).by_url)
"""


def test_an_installed_server_has_every_guide_and_the_style_of_its_pages(tmp_path: Path) -> None:
    build = (sys.executable, "-m", "hatchling", "build", "--target", "wheel")
    subprocess.run([*build, "--directory", tmp_path], cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    found = subprocess.run(
        [sys.executable, "-c", SERVED],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
        check=True,
        capture_output=True,
        text=True,
    )
    guides = {
        f"/docs/{file.relative_to(ROOT / 'docs').with_suffix('').as_posix()}"
        for file in (ROOT / "docs").rglob("*.md")
    }
    assert len(guides) > 30
    expected = guides - {"/docs/index"} | {"/docs", "/docs/readme", "/docs/contributing"}
    assert set(found.stdout.split()) == expected
