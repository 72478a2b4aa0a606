"""What is not understood is said in one line, with what was probably meant."""

import pytest

from nova.cli import EX_USAGE, EXITS, main, parser
from nova.cli.arguments import Parser

LEAVES = list(parser().leaves())


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("sevre", "There is no verb 'sevre'; did you mean 'serve'? Run 'nova --help'."),
        ("serve --prot 1", "There is no option '--prot'; did you mean '--port'?"),
        ("serve --prot=1", "There is no option '--prot'; did you mean '--port'?"),
        ("--prot 1 serve", "There is no option '--prot'; did you mean '--port'?"),
        ("--port 1 serve", "--port comes after the verb, as in: nova serve --port …"),
        ("token mnt ada", "There is no action 'mnt'; did you mean 'mint'? Run 'nova token --help'"),
        ("token", "One of these has to follow: mint, check."),
        ("user show", "Missing: user. Run 'nova user show --help'."),
        ("user show ada ben", "There is one argument too many: 'ben'."),
        ("config shwo", "There is no 'shwo'; did you mean 'show'?"),
        ("rebuild x", "There is no 'x'; there are graph."),
        ("simulate fmc", "There is no 'fmc'; did you mean 'fcm'?"),
        ("serve --smtp.hots x", "There is no option '--smtp.hots'; 'smtp.host' is a setting: set"),
        ("serve --smtp-host x", "There is no option '--smtp-host'; did you mean '--host'?"),
        ("serve --port 65536", "--port: a port is a number from 0 to 65535, not '65536'."),
        ("serve --port ٣", "--port: a port is a number"),
        ("token mint ada --lifetime x", "--lifetime: a number of seconds above 0"),
        ("replay", "Give the numbers of dead letters, or --all."),
        ("bench channels --edges x", "--edges is an option of 'nova bench graph' only."),
    ],
)
def test_what_is_not_understood_is_answered_with_what_was_meant(
    capsys: pytest.CaptureFixture[str], typed: str, says: str
) -> None:
    assert main(typed.split()) == EX_USAGE
    said = capsys.readouterr()
    assert (said.out, said.err.startswith(f"nova: {says}")) == ("", True), said
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.prog)
def test_every_option_that_is_misspelt_is_found(
    capsys: pytest.CaptureFixture[str], leaf: Parser
) -> None:
    for option in leaf.options():
        if option.startswith("--"):
            misspelt = option[:3] + option[4:5] + option[3:4] + option[5:] + "x"
            assert main([*leaf.prog.split()[1:], misspelt]) == EX_USAGE
            assert f"did you mean '{option}'?" in capsys.readouterr().err, misspelt


def walked(top: Parser) -> list[tuple[str, str]]:
    pairs = [(inner.prog, top.abouts()[name]) for name, inner in top.verbs().items()]
    return pairs + [pair for inner in top.verbs().values() for pair in walked(inner)]


def test_every_verb_and_argument_has_a_sentence() -> None:
    assert [prog for prog, about in walked(parser()) if not about] == []
    silent = [
        (leaf.prog, each.dest) for leaf in LEAVES for each in leaf.arguments() if not each.help
    ]
    assert silent == []


def test_the_help_tells_what_each_exit_status_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(f"{status:<4} {meaning}" in said for status, meaning in EXITS.items())
