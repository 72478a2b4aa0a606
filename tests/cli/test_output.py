"""What is printed cannot write to the terminal behind the reader's back."""

import json
from argparse import Namespace

import pytest

from nova.cli.output import fields, show, table

BAD = "a\x1b[2Jb\x9bc\u202ed\r\ne\U000e0001"


@pytest.mark.parametrize("as_json", [False, True])
def test_what_people_wrote_moves_no_cursor(
    capsys: pytest.CaptureFixture[str], *, as_json: bool
) -> None:
    row = {"name": BAD, "profile": {BAD: BAD}}
    args = Namespace(json=as_json)
    show(args, row, lambda: fields(row))
    show(args, {"data": [row]}, lambda: table([row], empty=""))
    said = capsys.readouterr().out
    assert all(each.isprintable() or each == "\n" for each in said)
    assert len(said.splitlines()) == 2 + 2 or as_json
    if as_json:
        first, _ = json.JSONDecoder().raw_decode(said)
        assert first == row


def test_a_list_is_a_table_with_the_names_of_its_columns() -> None:
    rows = [{"id": 1, "name": "Ada", "used_at": None}, {"id": 22, "name": "", "used_at": True}]
    assert table(rows, empty="none").splitlines() == [
        "id  name  used_at",
        "1   Ada   -",
        "22  -     true",
    ]
    assert table([], empty="none") == "none"
