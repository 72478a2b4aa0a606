"""Renew the browser's copy of the SDK from npm: `python scripts/update_vendor.py 5.8.0`."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

PACKAGE = "centrifuge"
FOLDER = Path(__file__).parents[1] / "web" / "vendor" / PACKAGE
FILES = {"dist/centrifuge.js": "centrifuge.js", "LICENSE": "LICENSE"}


def main() -> int:
    wanted = f"{PACKAGE}@{sys.argv[1] if len(sys.argv) > 1 else 'latest'}"
    with TemporaryDirectory() as folder:
        packed = subprocess.run(
            ["npm", "pack", "--silent", wanted],  # noqa: S607  # npm of the developer's PATH
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tarfile.open(Path(folder) / packed) as archive:
            for inside, name in FILES.items():
                text = _read(archive, inside).decode()
                kept = [line for line in text.splitlines() if "sourceMappingURL" not in line]
                (FOLDER / name).write_text("\n".join(kept) + "\n", "utf-8")
            about = json.loads(_read(archive, "package.json"))
        version = {key: about[key] for key in ("name", "version", "license")}
        (FOLDER / "version.json").write_text(json.dumps(version, indent=2) + "\n", "utf-8")
        print(f"{PACKAGE} {about['version']}")
    return 0


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(f"package/{name}")
    if file is None:
        raise FileNotFoundError(name)
    return file.read()


if __name__ == "__main__":
    sys.exit(main())
