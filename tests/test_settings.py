import re
import tomllib
from pathlib import Path

import pytest

from nova.cli.configure import GENERATED, reference, template
from nova.settings import Knob, Misconfigured, knobs, load


def written(folder: Path, text: str) -> Path:
    path = folder / "nova.toml"
    path.write_text(text)
    return path


def test_flags_win_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    file = written(tmp_path, "[http]\nport = 1\nhost = 'a'\nmax_requests = 7\n")
    settings, origins = load(
        [file], {"NOVA_HTTP_PORT": "2", "NOVA_HTTP_HOST": "b"}, {"http.port": 3}
    )
    assert (settings.http.port, settings.http.host, settings.http.max_requests) == (3, "b", 7)
    assert origins["http.port"] == "flag"
    assert origins["http.host"] == "environment"
    assert origins["http.max_requests"] == str(file)
    assert origins["log.batch"] == "default"


def test_all_problems_are_told_at_once_with_the_nearest_name(tmp_path: Path) -> None:
    file = written(tmp_path, "databse = 'x'\n[http]\nport = 'many'\nprot = 1\n")
    with pytest.raises(Misconfigured) as caught:
        load([file], {"NOVA_LOG_BATCH": "0", "NOVA_LOG_BACH": "1"}, {})
    problems = "\n".join(caught.value.problems)
    assert "did you mean database?" in problems
    assert "did you mean http.port?" in problems
    assert "did you mean NOVA_LOG_BATCH?" in problems
    assert "http.port: Expected `int`" in problems
    assert "log.batch: Expected `int` >= 1" in problems


def test_the_data_folder_is_a_path_wherever_it_comes_from(tmp_path: Path) -> None:
    file = written(tmp_path, "data = '/var/lib/nova'")
    assert load([file], {}, {}).settings.data == Path("/var/lib/nova")
    assert load([file], {"NOVA_DATA": "here"}, {}).settings.data == Path("here")
    with pytest.raises(Misconfigured, match="path of a folder"):
        load([], {}, {"data": 3})


@pytest.mark.parametrize(
    ("remembered", "kept", "fits"), [(14, 7, True), (8, 7, True), (7, 7, False), (14, 30, False)]
)
def test_ids_of_events_are_remembered_for_longer_than_the_log_is_kept(
    remembered: int, kept: int, fits: bool
) -> None:
    flags = {"notifications.dedupe_days": remembered, "log.retention_days": kept}
    if fits:
        assert load([], {}, flags).settings.log.retention_days == kept
        return
    with pytest.raises(Misconfigured, match=f"set notifications.dedupe_days to {kept + 1} or more"):
        load([], {}, flags)


@pytest.mark.parametrize("graph", ["embedded:", "neo4j://u:p@db", "bolt+s://u:p@db:7687"])
def test_the_graph_is_embedded_or_in_neo4j(graph: str) -> None:
    assert load([], {"NOVA_GRAPH": graph}, {}).settings.graph == graph
    with pytest.raises(Misconfigured, match="graph: expected an address") as caught:
        load([], {"NOVA_GRAPH": f"redis+{graph}"}, {})
    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize("database", ["embedded:", "postgresql://u:p@db/x", "postgres://db"])
def test_the_database_is_embedded_or_a_postgresql(database: str) -> None:
    assert load([], {"NOVA_DATABASE": database}, {}).settings.database == database
    with pytest.raises(Misconfigured, match="database: expected one that begins") as caught:
        load([], {"NOVA_DATABASE": f"mysql+{database}"}, {})
    assert "u:p" not in str(caught.value)


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    loaded = load([], {"NOVA_TOKENS_SECRET_FILE": str(tmp_path / "secret")}, {})
    assert loaded.settings.tokens.secret == "s3cret"


def test_lists_and_namespaces_fit_into_a_variable() -> None:
    settings = load(
        [],
        {
            "NOVA_HTTP_ALLOWED_ORIGINS": "https://a.example, https://b.example",
            "NOVA_NAMESPACES": '[{"name": "room", "presence": true}]',
        },
        {},
    ).settings
    assert settings.http.allowed_origins == ("https://a.example", "https://b.example")
    assert settings.namespaces[0].presence


def test_a_broken_file_is_a_problem_not_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="not valid TOML"):
        load([written(tmp_path, "= 1")], {}, {})


def test_every_knob_has_a_sentence() -> None:
    assert [knob.name for knob in knobs() if not knob.sentence.endswith(".")] == []


def entry(knob: Knob) -> str:
    """Return what nova init writes about a setting: its sentence and its default."""
    head, _, last = knob.name.rpartition(".")
    section = re.split(r"^\[.*\]$", template(), flags=re.MULTILINE)[0]
    if head:
        section = template().partition(f"\n[{head}]\n")[2].partition("\n[")[0]
    found = re.search(rf"^# (?P<about>.+)\n# {last} = .+$", section, re.MULTILINE)
    return found[0] if found else ""


@pytest.mark.parametrize("knob", list(knobs()), ids=lambda knob: knob.name)
def test_every_setting_is_in_what_init_writes_and_in_the_reference(knob: Knob) -> None:
    assert knob.sentence in entry(knob)
    (row,) = [line for line in reference().splitlines() if line.startswith(f"| `{knob.name}` |")]
    assert knob.sentence in row
    assert f"`{knob.variable}`" in row
    assert ("| generated |" in row) is knob.generated
    for choice in knob.choices:
        assert choice in entry(knob).partition("\n")[0]
        assert f"`{choice}`" in row


def test_what_init_writes_is_the_defaults_once_the_marks_are_taken_away() -> None:
    taken = re.sub(r"^# (?=[a-z_]+ = )", "", template(), flags=re.MULTILINE)
    with pytest.raises(tomllib.TOMLDecodeError):  # nobody turns on an empty secret by mistake
        tomllib.loads(taken)
    given = tomllib.loads(re.sub(rf"^.* = {re.escape(GENERATED)}$", "", taken, flags=re.MULTILINE))
    for knob in knobs():
        head, _, last = knob.name.rpartition(".")
        if not knob.generated:
            value = given[head][last] if head else given[last]
            assert value == (
                str(knob.default) if isinstance(knob.default, Path) else knob.default
            ) or (tuple(value) == knob.default)


SECRETS = {"tokens.secret", "tokens.signing_secret", "smtp.password", "webpush.private_key"}


def test_the_secrets_are_known_as_such() -> None:
    secret = {knob.name for knob in knobs() if knob.secret}
    assert secret >= SECRETS | {"http.metrics_token", "database", "graph"}
    named = {
        knob.name for knob in knobs() if re.search("password|secret|token$|private", knob.name)
    }
    assert named <= secret


@pytest.mark.parametrize("knob", [each for each in knobs() if each.choices], ids=lambda k: k.name)
def test_a_wrong_choice_is_answered_with_those_that_there_are(knob: Knob) -> None:
    for given in ({knob.variable: "wrong"}, {}):
        flags = {} if given else {knob.name: "wrong"}
        with pytest.raises(Misconfigured, match=f"expected one of: {', '.join(knob.choices)}"):
            load([], given, flags)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("NOVA_HTTP_PROT", "NOVA_HTTP_PORT"),
        ("NOVA_PORT", "NOVA_HTTP_PORT or NOVA_SMTP_PORT"),
        ("NOVA_SMTP_PASSWORT_FILE", "NOVA_SMTP_PASSWORD_FILE"),
        ("NOVA_GRAPH_MEMORY", "NOVA_GRAPH_MEMORY_MB"),
    ],
)
def test_an_unknown_variable_is_answered_with_the_nearest(variable: str, meant: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        load([], {variable: "/nowhere"}, {})
    assert caught.value.problems == [f"{variable}: unknown variable; did you mean {meant}?"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("port = 1", "http.port or smtp.port"),
        ("[htpp]\nport = 1", "http.port"),
        ("[smtp]\npasswort = 'x'", "smtp.password"),
        ("[[namespaces]]\nname = 'room'\nprsence = true", "'presence'"),
    ],
)
def test_an_unknown_setting_in_a_file_is_answered_with_the_nearest(
    tmp_path: Path, text: str, meant: str
) -> None:
    with pytest.raises(Misconfigured, match=f"did you mean {meant}\\?"):
        load([written(tmp_path, text)], {}, {})


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"smtp.security": "ssl"}, "expected one of: none, starttls, tls"),
        ({"namespaces": [{"name": "user"}]}, "Nova's own"),
        ({"namespaces": [{"name": "room"}, {"name": "room"}]}, "2 called 'room'"),
        ({"tokens.jwks_url": "http://keys.example/jwks.json"}, "https"),
        ({"tokens.jwks_url": "https://a.example", "tokens.jwks_file": "keys.json"}, "one of the"),
    ],
)
def test_what_would_fail_at_the_start_is_found_when_settings_are_checked(
    flags: dict[str, object], says: str
) -> None:
    with pytest.raises(Misconfigured, match=says):
        load([], {}, flags)


@pytest.mark.parametrize(
    ("scheme", "says"),
    [
        ("javascript", "never safe"),
        ("data", "never safe"),
        ("vbscript", "never safe"),
        ("file", "never safe"),
        ("blob", "never safe"),
        ("view-source", "never safe"),
        ("https", "allowed anyway"),
        ("MyApp", "no scheme"),
        ("myapp://", "no scheme"),
        ("my app", "no scheme"),
        ("", "no scheme"),
    ],
)
def test_no_link_may_have_a_scheme_that_is_never_safe(scheme: str, says: str) -> None:
    with pytest.raises(Misconfigured, match=f"deliveries.link_schemes: .*{says}"):
        load([], {}, {"deliveries.link_schemes": [scheme]})


def test_links_into_apps_are_allowed_by_their_scheme() -> None:
    loaded = load([], {"NOVA_DELIVERIES_LINK_SCHEMES": "myapp,com.example.app"}, {})
    assert loaded.settings.deliveries.link_schemes == ("myapp", "com.example.app")


def test_a_bound_of_mails_leaves_room_for_the_one_that_gathers() -> None:
    with pytest.raises(Misconfigured, match=r"deliveries\.mails_per_hour: give 0"):
        load([], {}, {"deliveries.mails_per_hour": 2})
