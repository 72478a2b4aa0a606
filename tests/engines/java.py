"""Engines in Java: the runtime, and their libraries from Maven."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from engines.engine import Missing

FETCHING_S = 900.0
OLDEST_JAVA = 17
SMALL = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Options with which a server starts and warms up in half the time, on few cores."""


def java() -> str:
    """Return the path of the Java runtime."""
    java = shutil.which("java")
    if java is None:
        raise Missing(f"install a Java runtime, {OLDEST_JAVA} or later")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version.group(1)) < OLDEST_JAVA:
        raise Missing(f"it needs Java {OLDEST_JAVA} or later; here is: {said.splitlines()[0]}")
    return java


def jars(pom: Path) -> Path:
    """Return the folder of a POM's libraries, fetched once for all runs on this machine."""
    name = pom.name.removesuffix(".pom.xml")
    version = re.search(r"<version>(\d+\.\d+\.\d+)</version>", pom.read_text("utf-8"))
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:8]
    folder = _cache() / f"{name}-{version.group(1) if version else ''}-{digest}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _fetch(pom, folder)
    return folder


def _fetch(pom: Path, folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise Missing("install the package maven")
    draft = folder.with_name(f"{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    done = subprocess.run(
        [
            *(maven, "--quiet", "--batch-mode", "--file", pom, "dependency:copy-dependencies"),
            *(f"-DoutputDirectory={draft}", "-DincludeScope=runtime", "-DincludeTypes=jar"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=FETCHING_S,
    )
    if done.returncode or not draft.is_dir():
        raise Missing(f"Maven did not bring its libraries: {done.stdout.strip()[-500:]}")
    draft.rename(folder)


def _cache() -> Path:
    """Return a folder that other users can read: the engine runs as one when this is root."""
    if os.getuid() == 0:
        return Path("/var/cache/nova-engines")
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path.home() / ".cache") / "nova-engines"
