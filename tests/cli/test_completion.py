"""Shells complete what is typed, by the scripts that `nova completion` prints: in real shells."""

import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nova.cli import main, parser
from nova.cli.completion import SHELLS, places

MARK = b"<<end>>"
PATIENCE_S = 120.0

TYPED = [
    ("nova ser", {"serve"}),
    ("nova ", set(parser().verbs())),
    ("nova --ver", {"--version"}),
    ("nova token ", {"mint", "check"}),
    ("nova token mint --li", {"--lifetime"}),
    ("nova config ", {"show", "check", "doc"}),
    ("nova config sh", {"show"}),
    ("nova config --ori", {"--origin"}),
    ("nova simulate fcm ap", {"apns"}),
    ("nova simulate fc", {"fcm"}),
    ("nova completion ", {"bash", "zsh", "fish"}),
    ("nova import edges edg", {"edges.csv"}),
    ("nova serve --config nova.t", {"nova.toml"}),
    ("nova user show --config nova.toml --js", {"--json"}),
]


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    for shell in SHELLS:
        assert main(["completion", shell]) == 0
        (tmp_path / f"nova.{shell}").write_text(capsys.readouterr().out)
    for name in ("nova.toml", "edges.csv"):
        (tmp_path / name).touch()
    return tmp_path


def shell(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is missing")
        pytest.skip(f"{name} is not installed")
    return found


def said(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        env=os.environ | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def bash(folder: Path, line: str) -> set[str]:
    words = line.split(" ")
    program = f"""
        source nova.bash
        COMP_WORDS=({" ".join(f"'{word}'" for word in words)}); COMP_CWORD={len(words) - 1}
        _nova; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return set(said(folder, shell("bash"), "--norc", "-c", program).split())


def fish(folder: Path, line: str) -> set[str]:
    program = f"source nova.fish; complete -C '{line}'"
    found = said(folder, shell("fish"), "--no-config", "-c", program)
    return {each.partition("\t")[0] for each in found.splitlines()}


@contextmanager
def terminal(folder: Path, *command: str) -> Iterator[int]:
    """Run a shell in a terminal; yield where to type, and to read what shows."""
    screen, inside = pty.openpty()
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
        env=os.environ | {"HOME": str(folder), "TERM": "dumb", "ZDOTDIR": str(folder)},
    )
    os.close(inside)
    try:
        yield screen
    finally:
        process.kill()
        process.wait()
        os.close(screen)


def until(screen: int, is_so: Callable[[bytes], bool]) -> None:
    """Read what shows until it is so, or complain with all that was shown."""
    seen = b""
    ends = time.monotonic() + PATIENCE_S
    while not is_so(seen):
        assert time.monotonic() < ends, seen
        if select.select([screen], [], [], 0.05)[0]:
            seen += os.read(screen, 65_536)


def zsh(folder: Path, line: str) -> set[str]:
    """Complete in a zsh that runs in a terminal: its completion works nowhere else."""
    (folder / "begin.zsh").write_text(
        "autoload -Uz compinit; compinit -u -D; source nova.zsh\n"
        "zstyle ':completion:*' menu no\n"
        # Write what fits into a file, instead of showing it.
        "printing() { local -a found all; "
        'compadd() { local -a found; builtin compadd -O found "$@"; all+=($found); '
        'builtin compadd "$@" }; _main_complete; print -r -- "${(F)all}" >found; '
        "print -r -- done >finished }\n"
        "zle -C printing complete-word printing; bindkey '^X' printing\n"
    )
    with terminal(folder, shell("zsh"), "-f", "-i") as screen:
        os.write(screen, b"source ./begin.zsh; echo '<<'end'>>'\n")
        until(screen, lambda seen: MARK in seen)
        os.write(screen, line.encode() + b"\x18")
        until(screen, lambda _: (folder / "finished").exists())
        return set((folder / "found").read_text().split())


@pytest.mark.parametrize(("line", "wanted"), TYPED)
@pytest.mark.parametrize("complete", [bash, fish, zsh])
def test_what_is_typed_is_completed(
    folder: Path, complete: Callable[[Path, str], set[str]], line: str, wanted: set[str]
) -> None:
    assert complete(folder, line) == wanted


@pytest.mark.parametrize("name", SHELLS)
def test_every_verb_and_option_of_the_parser_is_in_the_script(folder: Path, name: str) -> None:
    script = (folder / f"nova.{name}").read_text()
    for place in places(parser()):
        for verb in place.verbs:
            assert verb in script
        for option in place.options:
            for each in option.names:
                assert (each.lstrip("-") if name == "fish" else each) in script
