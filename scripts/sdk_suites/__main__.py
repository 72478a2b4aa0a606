"""Run the test suites of the Centrifuge SDKs against a Nova server of this checkout.

`python scripts/sdk_suites [python go js java] [--clone-from URL] [--into FOLDER]` fetches each
suite, starts a server on a free port for each run, and prints what passed and what did not.
The tests stay as they are; only the server's address and its API key are put into them.
"""

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

HERE = Path(__file__).parent
NOVA = Path(sys.executable).with_name("nova")
PYTHON, GO, JS, JAVA = "0.7.0", "v0.12.1", "5.7.1", "0.7.0"
"""The versions whose tests run. The first two come from PyPI and the Go proxy; what npm and Maven
Central have of the others is without tests, so they are cloned."""
GO_MODULE = "github.com/centrifugal/centrifuge-go"
ADDRESS, KEY = "localhost:8000", "test-api-key"
"""What the suites call."""
SOURCES = {".py", ".go", ".ts", ".java"}
START_S, RUN_S = 120, 1200

Outcomes = dict[str, str]
"""`pass`, `fail` or `skip`, by the names of the tests."""


class Server(NamedTuple):
    """Where the server is, and its API key."""

    address: str
    key: str


class Suite(NamedTuple):
    """The tests of one SDK."""

    fetch: Callable[[Path, str], None]
    """Makes a folder with the sources; a clone comes from the URL."""
    run: Callable[[Path, Path, Server], Outcomes]
    settings: Mapping[str, str] = {}
    """Lines of nova.toml to replace."""


def main() -> int:
    """Run the suites asked for; 1 if a test failed."""
    parser = argparse.ArgumentParser(description=__doc__, prog="sdk_suites")
    parser.add_argument("suites", nargs="*", metavar="suite", help=f"of {', '.join(SUITES)}")
    parser.add_argument("--clone-from", default="https://github.com/centrifugal", metavar="URL")
    parser.add_argument("--into", type=Path, default=Path("build/sdk-suites"), metavar="FOLDER")
    asked = parser.parse_args()
    failed = 0
    for name in asked.suites or SUITES:
        suite, folder = SUITES[name], (asked.into / name).resolve()
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            suite.fetch(folder, asked.clone_from)
        failed += report(name, outcomes(suite, folder))
    return 1 if failed else 0


def report(suite: str, found: Outcomes) -> int:
    """Print what came of a suite, and return how many failed."""
    failed = sorted(name for name, outcome in found.items() if outcome == "fail")
    passed = sum(outcome == "pass" for outcome in found.values())
    skipped = len(found) - passed - len(failed)
    print(f"{suite}: {passed} of {passed + len(failed)} passed, {skipped} skipped", flush=True)
    for name in failed:
        print(f"  failed: {name}", flush=True)
    return len(failed)


def outcomes(suite: Suite, folder: Path) -> Outcomes:
    """Run tests in a copy of the sources that knows the server."""
    with TemporaryDirectory() as temporary, serving(suite.settings) as server:
        copy = Path(temporary) / folder.name
        shutil.copytree(folder, copy, symlinks=True)
        for path in copy.rglob("*"):
            if path.suffix in SOURCES and path.is_file() and "node_modules" not in path.parts:
                source = path.read_text()
                told = source.replace(ADDRESS, server.address).replace(KEY, server.key)
                if told != source:
                    path.write_text(told)
        log = folder.with_suffix(".log")
        log.unlink(missing_ok=True)
        return suite.run(copy, log, server)


@contextmanager
def serving(settings: Mapping[str, str]) -> Iterator[Server]:
    """Run a server in an empty folder."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    toml = (HERE / "nova.toml").read_text().replace("port = 8000", f"port = {port}")
    for line, other in settings.items():
        if line not in toml:
            raise ValueError(f"nova.toml has no line {line!r}")
        toml = toml.replace(line, other, 1)
    with TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "nova.toml").write_text(toml)
        with (place / "log").open("wb") as log:
            server = subprocess.Popen([NOVA, "serve"], cwd=place, stdout=log, stderr=log)
        try:
            until_ready(server, port, place / "log")
            key = (place / "nova-data" / "server.key").read_text().strip()
            yield Server(f"localhost:{port}", key)
        finally:
            server.terminate()
            server.wait()


def until_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until the server takes requests."""
    end = time.monotonic() + START_S
    while server.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not start:\n{log.read_text()}")


def ran(log: Path, *command: str | Path, cwd: Path) -> None:
    """Run a command, whatever its exit code, and append its output to a file."""
    with log.open("ab") as output:
        try:
            subprocess.run(
                command, cwd=cwd, check=False, timeout=RUN_S, stdout=output, stderr=output
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{command} took longer than {RUN_S} s; see {log}") from None


def done(*command: str | Path, cwd: Path) -> str:
    """Run a command that has to succeed."""
    return subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout


# -- Python -----------------------------------------------------------------------------------


def fetch_python(folder: Path, _clone_from: str) -> None:
    with TemporaryDirectory() as temporary:
        place = Path(temporary)
        done(
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--no-binary", ":all:", f"centrifuge-python=={PYTHON}"),
            cwd=place,
        )
        [archive] = place.glob("*.tar.gz")
        with tarfile.open(archive) as opened:
            opened.extractall(place, filter="data")
        [sources] = (each for each in place.iterdir() if each.is_dir())
        shutil.move(sources, folder)
    done(sys.executable, "-m", "venv", ".venv", cwd=folder)
    done(".venv/bin/python", "-m", "pip", "install", "--quiet", ".[dev]", cwd=folder)


def python_tests(folder: Path, log: Path, _server: Server) -> Outcomes:
    ran(log, ".venv/bin/python", HERE / "unittest_outcomes.py", "outcomes.json", cwd=folder)
    return read(folder / "outcomes.json", log)


# -- Go ---------------------------------------------------------------------------------------


def fetch_go(folder: Path, _clone_from: str) -> None:
    with TemporaryDirectory() as temporary:
        place = Path(temporary)
        told = done("go", "mod", "download", "-json", f"{GO_MODULE}@{GO}", cwd=place)
        shutil.copytree(json.loads(told)["Dir"], folder, copy_function=shutil.copyfile)
    for each in [folder, *folder.rglob("*")]:  # the cache of modules is read-only
        if each.is_dir():
            each.chmod(0o755)


def go_tests(folder: Path, log: Path, _server: Server) -> Outcomes:
    ran(log, "go", "test", ".", "-count=1", "-json", cwd=folder)
    found = {}
    for line in log.read_text().splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        test = event.get("Test", "")
        if event.get("Action") in {"pass", "fail", "skip"} and test and "/" not in test:
            found[test] = event["Action"]
    if not found:
        raise RuntimeError(f"no test ran; see {log}")
    return found


# -- JavaScript -------------------------------------------------------------------------------


def clone(folder: Path, clone_from: str, repository: str, version: str) -> None:
    done(
        *("git", "-c", "advice.detachedHead=false", "clone", "--quiet", "--depth", "1"),
        *("--branch", version, f"{clone_from}/{repository}", folder),
        cwd=folder.parent,
    )


def fetch_js(folder: Path, clone_from: str) -> None:
    clone(folder, clone_from, "centrifuge-js", JS)
    # Without the last one, npm refuses the versions that the suite's own tools ask for.
    done("npm", "install", "--silent", "--ignore-scripts", "--legacy-peer-deps", cwd=folder)


def js_tests(folder: Path, log: Path, _server: Server) -> Outcomes:
    """Run a file at a time: timers of tests that failed go on, and fail those of other files."""
    found = {}
    for file in sorted((folder / "src").glob("*.test.ts")):
        result = folder / "outcomes.json"
        result.unlink(missing_ok=True)
        ran(
            log,
            *("npx", "jest", f"src/{file.name}", "--forceExit"),
            *("--json", f"--outputFile={result.name}"),
            cwd=folder,
        )
        found.update(jest_outcomes(file.name.removesuffix(".test.ts"), read(result, log)))
    return found


def jest_outcomes(file: str, result: Any) -> Outcomes:
    words = {"passed": "pass", "failed": "fail"}
    return {
        f"{file}: {test['fullName']}": words.get(test["status"], "skip")
        for each in result["testResults"]
        for test in each["assertionResults"]
    }


# -- Java -------------------------------------------------------------------------------------


def fetch_java(folder: Path, clone_from: str) -> None:
    clone(folder, clone_from, "centrifuge-java", JAVA)
    shutil.copyfile(HERE / "java.pom.xml", folder / "centrifuge" / "pom.xml")
    done("mvn", "--quiet", "--batch-mode", "test-compile", cwd=folder / "centrifuge")


def java_tests(folder: Path, log: Path, server: Server) -> Outcomes:
    project = folder / "centrifuge"
    [api] = project.rglob("CentrifugoApi.java")  # whose requests have no key at all
    url = ".url(baseUrl + path)"
    api.write_text(api.read_text().replace(url, f'{url}.header("X-API-Key", "{server.key}")'))
    ran(log, "mvn", "--batch-mode", "test", cwd=project)
    found = {}
    for file in (project / "target" / "surefire-reports").glob("TEST-*.xml"):
        for test in ET.parse(file).iter("testcase"):  # noqa: S314  # our own Maven wrote it
            outcome = next((each.tag for each in test if each.tag in XML_OUTCOMES), "")
            name = f"{test.get('classname', '').rpartition('.')[2]}.{test.get('name')}"
            found[name] = XML_OUTCOMES.get(outcome, "pass")
    if not found:
        raise RuntimeError(f"no test ran; see {log}")
    return found


XML_OUTCOMES = {"failure": "fail", "error": "fail", "skipped": "skip"}


def read(result: Path, log: Path) -> Any:
    """Return what a run wrote, or raise RuntimeError."""
    if not result.exists():
        raise RuntimeError(f"no test ran; see {log}")
    return json.loads(result.read_text())


SUITES = {
    "python": Suite(
        fetch_python, python_tests, {"anonymous = true": "anonymous = true\nown_channels = false"}
    ),
    "go": Suite(fetch_go, go_tests, {"presence = true": "presence = false"}),
    "js": Suite(fetch_js, js_tests),
    "java": Suite(fetch_java, java_tests),
}


if __name__ == "__main__":
    sys.exit(main())
