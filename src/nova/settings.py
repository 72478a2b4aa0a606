"""Every knob of Nova: its name, its default and one sentence about it."""

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct, field

from nova.web.jwks import check_address
from nova.web.realtime.namespaces import FAMILIES, Namespace

GRAPHS = ("embedded:", "neo4j:", "neo4j+s:", "neo4j+ssc:", "bolt:", "bolt+s:", "bolt+ssc:")

Port = Annotated[int, Meta(ge=0, le=65535)]
Natural = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Seconds = Annotated[float, Meta(gt=0, le=10**9)]
Secret = Annotated[str, Meta(extra={"secret": True})]


def about(sentence: str) -> Meta:
    return Meta(description=sentence)


class Http(Struct, frozen=True, kw_only=True):
    """The HTTP server."""

    host: Annotated[str, about("Address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, about("Port to listen on; 0 takes a free one.")] = 8000
    allowed_origins: Annotated[
        tuple[str, ...],
        about("Origins of browsers that may call, besides Nova's own; `*` allows all."),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        about("Addresses or networks whose X-Forwarded-For is believed."),
    ] = ()
    max_requests: Annotated[
        Natural, about("Requests in progress at once; above it, callers get 503 at once.")
    ] = 1000
    connections: Annotated[
        Natural,
        about("HTTP connections open at once, without WebSockets; further ones get 503."),
    ] = 10_000
    access_log: Annotated[bool, about("Log a line per request.")] = False


class Tokens(Struct, frozen=True, kw_only=True):
    """User tokens, signed by the host app."""

    secret: Annotated[
        Secret, about("Shared secret of HS256 user tokens; generated at the first start.")
    ] = ""
    jwks_url: Annotated[
        str, about("Where to fetch public keys (RS256, ES256, EdDSA) of user tokens.")
    ] = ""
    jwks_file: Annotated[
        str, about("A file of public keys (JWKS), read at the start, instead of `tokens.jwks_url`.")
    ] = ""
    audience: Annotated[str, about("`aud` that user tokens must have; empty for any.")] = ""
    issuer: Annotated[str, about("`iss` that user tokens must have; empty for any.")] = ""
    require_expiry: Annotated[
        bool, about("Refuse user tokens without `exp`; false only to run other projects' tests.")
    ] = True
    max_lifetime_s: Annotated[
        float, Meta(ge=0, le=10**9), about("Longest lifetime of a user token; 0 for any.")
    ] = 0.0
    leeway_s: Annotated[float, Meta(ge=0, le=300), about("Seconds by which clocks may differ.")] = (
        5.0
    )
    create_users: Annotated[
        bool, about("Create a user for a valid token whose `sub` is not known yet.")
    ] = False
    signing_secret: Annotated[Secret, about("Signs cursors; generated at the first start.")] = ""


class Postgres(Struct, frozen=True, kw_only=True):
    """Connections to PostgreSQL."""

    connections: Annotated[Natural, about("Connections of this process.")] = 12
    wait_s: Annotated[
        Seconds, about("Seconds to wait for a free connection before answering 503.")
    ] = 0.25
    statement_timeout_s: Annotated[
        Seconds, about("Seconds after which a statement is cancelled.")
    ] = 10.0
    lock_timeout_s: Annotated[
        Seconds, about("Seconds that a statement waits for others' locks before answering 503.")
    ] = 1.0


class Log(Struct, frozen=True, kw_only=True):
    """The event log and its consumers."""

    batch: Annotated[
        Natural, about("Events in one transaction; doubles up to `log.most` while more wait.")
    ] = 100
    most: Annotated[Natural, about("Events in one transaction, at most.")] = 4000
    readers: Annotated[
        Annotated[int, Meta(ge=1, le=16)],
        about("Readers of a consumer in one process: one computes while another waits."),
    ] = 2
    wait_s: Annotated[
        Seconds, about("Longest time between two looks at the log when nothing rings.")
    ] = 1.0
    attempts: Annotated[Natural, about("Attempts at an event before it becomes a dead letter.")] = 5
    retention_days: Annotated[Natural, about("Days that events stay in the log.")] = 7


class Socket(Struct, frozen=True, kw_only=True):
    """The real-time socket."""

    ping_s: Annotated[Seconds, about("Seconds between pings of the server.")] = 25.0
    max_message_bytes: Annotated[Natural, about("Largest message that a client may send.")] = 65_536
    queue_bytes: Annotated[
        Natural, about("Bytes that may wait for a client before it is told to come back.")
    ] = 1_048_576
    connections: Annotated[Natural, about("Open sockets of this process, at most.")] = 100_000
    subscriptions: Annotated[Natural, about("Subscriptions of a connection, at most.")] = 128
    anonymous: Annotated[
        bool, about("Let strangers connect: without a token, or with one that names nobody.")
    ] = False
    drain_s: Annotated[Seconds, about("Seconds over which sockets are closed at shutdown.")] = 10.0


class Notifications(Struct, frozen=True, kw_only=True):
    """The notification pipeline."""

    retention_days: Annotated[Natural, about("Days until a notification expires.")] = 30
    dedupe_days: Annotated[
        Natural,
        about("Days for which an event's id is remembered; more than `log.retention_days`."),
    ] = 14
    burst_s: Annotated[
        Seconds,
        about("Seconds for which further likes of a post join an unread notification of one."),
    ] = 3600.0


class Feeds(Struct, frozen=True, kw_only=True):
    """Home feeds."""

    authors: Annotated[
        Natural,
        about("Authors whose newest posts are kept in memory, 500 bytes each; 0.05 GB by default."),
    ] = 100_000
    push: Annotated[
        bool,
        about(
            "Whether posts are written into the feeds of followers ahead: for deployments of many "
            "processes, whose memory does not hold everybody's newest posts."
        ),
    ] = False
    followers: Annotated[
        Natural,
        about("With feeds.push: the posts of authors with more followers than this are pulled."),
    ] = 1_000


class Deliveries(Struct, frozen=True, kw_only=True):
    """Push and mail on their way to devices and mailboxes."""

    public_url: Annotated[
        str, about("Where people reach this server, as in https://nova.example; for links in mail.")
    ] = ""
    at_once: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)],
        about("Attempts under way in one process and lane (ios, android, web, mail), at most."),
    ] = 64
    per_s: Annotated[
        Annotated[float, Meta(ge=0, le=10**6)],
        about("Attempts per second and lane, of all processes together; 0 for no limit."),
    ] = 0.0
    release_spread_s: Annotated[
        Annotated[float, Meta(ge=0, le=3_600)],
        about("Seconds over which people are spread whose quiet hours end at the same time."),
    ] = 60.0
    retention_days: Annotated[Natural, about("Days that the log of deliveries is kept.")] = 30


class Fcm(Struct, frozen=True, kw_only=True):
    """Push to Android (and whatever else is registered with Firebase), through FCM."""

    credentials: Annotated[
        str, about("File of the service account, JSON as Google hands it out; empty for no FCM.")
    ] = ""
    url: Annotated[str, about("Where FCM is; another one for a simulator.")] = (
        "https://fcm.googleapis.com"
    )


class Apns(Struct, frozen=True, kw_only=True):
    """Push to Apple's devices, through APNs."""

    key: Annotated[str, about("File of the signing key (.p8); empty for no APNs.")] = ""
    key_id: Annotated[str, about("The key's id, 10 characters.")] = ""
    team_id: Annotated[str, about("The team's id, 10 characters.")] = ""
    topic: Annotated[
        str, about("The app's bundle id, for devices that were registered without one.")
    ] = ""
    environment: Annotated[
        Literal["production", "sandbox"],
        about("Host of devices that were registered without one; the other is tried, too."),
    ] = "production"
    production_url: Annotated[str, about("Where the production host is.")] = (
        "https://api.push.apple.com"
    )
    sandbox_url: Annotated[str, about("Where the sandbox host is.")] = (
        "https://api.sandbox.push.apple.com"
    )


class Webpush(Struct, frozen=True, kw_only=True):
    """Push to browsers, through whatever service each of them uses."""

    private_key: Annotated[
        Secret,
        about("VAPID key, PEM or base64url, as `nova vapid` makes it; empty for no Web Push."),
    ] = ""
    subject: Annotated[
        str, about("mailto: or https: address at which push services reach the operator.")
    ] = ""


class Smtp(Struct, frozen=True, kw_only=True):
    """Mail, through a relay."""

    host: Annotated[str, about("The mail server; empty for no mail.")] = ""
    port: Annotated[Port, about("Its port: 587 with starttls, 465 with tls.")] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"], about("How the connection is protected.")
    ] = "starttls"
    username: Annotated[str, about("Name to log in with; empty for no log-in.")] = ""
    password: Annotated[Secret, about("Password to log in with.")] = ""
    sender: Annotated[str, about("From whom mail comes: `Name <address>`.")] = ""
    connections: Annotated[Natural, about("Connections to the mail server, at most.")] = 4
    timeout_s: Annotated[Seconds, about("Seconds that the mail server may take to answer.")] = 30.0
    dkim_key: Annotated[
        str, about("File of an RSA key to sign mail with; empty where the relay signs.")
    ] = ""
    dkim_selector: Annotated[str, about("Name of the key's public half in the DNS.")] = "nova"


class Outgoing(Struct, frozen=True, kw_only=True):
    """Connections that Nova opens to others."""

    ca_file: Annotated[
        str, about("Certificates to trust besides the machine's own, as of a simulator.")
    ] = ""
    allowed_networks: Annotated[
        tuple[str, ...],
        about("Networks that are not public and may be called all the same, as 10.1.0.0/16."),
    ] = ()
    deadline_s: Annotated[
        Seconds, about("Seconds that a push may take; FCM asks for 10 at least.")
    ] = 20.0
    waiting: Annotated[
        Natural, about("Pushes that may wait for one provider; a further one is put off.")
    ] = 2000


class Settings(Struct, frozen=True, kw_only=True):
    """What a deployment may choose."""

    data: Annotated[Path, about("Folder of the embedded database and the generated secrets.")] = (
        Path("nova-data")
    )
    database: Annotated[
        Secret,
        about("`embedded:` for PostgreSQL inside the data folder, or a postgresql:// address."),
    ] = "embedded:"
    graph: Annotated[
        Secret,
        about(
            "`embedded:` for the graph's index in each process, or the neo4j:// address of a "
            "Neo4j server, with user and password, that holds it for all."
        ),
    ] = "embedded:"
    graph_memory_mb: Annotated[
        Natural,
        about(
            "Megabytes that the graph's index may take in each process, about 13 for a million "
            "follows; beyond, the database answers in its place."
        ),
    ] = 1_000
    namespaces: Annotated[
        tuple[Namespace, ...],
        about("Families of channels for the app's own use; see the socket's reference."),
    ] = ()
    http: Http = field(default_factory=Http)
    tokens: Tokens = field(default_factory=Tokens)
    postgres: Postgres = field(default_factory=Postgres)
    log: Log = field(default_factory=Log)
    socket: Socket = field(default_factory=Socket)
    notifications: Notifications = field(default_factory=Notifications)
    feeds: Feeds = field(default_factory=Feeds)
    deliveries: Deliveries = field(default_factory=Deliveries)
    fcm: Fcm = field(default_factory=Fcm)
    apns: Apns = field(default_factory=Apns)
    webpush: Webpush = field(default_factory=Webpush)
    smtp: Smtp = field(default_factory=Smtp)
    outgoing: Outgoing = field(default_factory=Outgoing)


class Knob(NamedTuple):
    """One setting: `name` is dotted, as in nova.toml."""

    name: str
    type: Any
    default: object
    sentence: str
    secret: bool

    @property
    def variable(self) -> str:
        return "NOVA_" + self.name.replace(".", "_").upper()


class Loaded(NamedTuple):
    """Settings, and for each knob where its value came from."""

    settings: Settings
    origins: Mapping[str, str]


class Misconfigured(Exception):
    """The configuration has errors; `problems` holds all of them."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def knobs(section: type[Struct] = Settings, prefix: str = "") -> Iterator[Knob]:
    """Yield every knob, in the order of their definition."""
    hints = get_type_hints(section, include_extras=True)
    for each in msgspec.structs.fields(section):
        kind = hints[each.name]
        if isinstance(kind, type) and issubclass(kind, Struct):
            yield from knobs(kind, f"{prefix}{each.name}.")
            continue
        metas = [meta for meta in get_args(kind)[1:] if isinstance(meta, Meta)]
        yield Knob(
            prefix + each.name,
            kind,
            each.default,
            next((meta.description for meta in metas if meta.description), ""),
            any((meta.extra or {}).get("secret") for meta in metas),
        )


def load(
    files: Sequence[Path], environment: Mapping[str, str], flags: Mapping[str, object]
) -> Loaded:
    """Read settings: defaults < files in order < NOVA_… environment < flags (dotted names).

    Files that do not exist are skipped. Raises Misconfigured with every problem found.
    """
    known = {knob.name: knob for knob in knobs()}
    problems: list[str] = []
    values: dict[str, object] = {}
    origins = dict.fromkeys(known, "default")
    for origin, given in [
        *((str(path), _from_file(path, known, problems)) for path in files if path.exists()),
        ("environment", _from_environment(environment, known, problems)),
        ("flag", _checked(flags, known, "flag", problems)),
    ]:
        for name, value in given.items():
            values[name] = value
            origins[name] = origin
    if problems:
        raise Misconfigured(problems)
    settings = msgspec.convert(_nested(values), Settings)
    problems += _contradictions(settings)
    if problems:
        raise Misconfigured(problems)
    return Loaded(settings, origins)


def _contradictions(settings: Settings) -> Iterator[str]:
    """Yield what is wrong with settings that are right one by one."""
    if not settings.graph.startswith(GRAPHS):
        yield f"graph: expected an address that begins with one of {', '.join(GRAPHS)}"
    remembered, kept = settings.notifications.dedupe_days, settings.log.retention_days
    if remembered <= kept:  # the log is dropped by the day, so it keeps up to a day more
        yield (
            f"notifications.dedupe_days: {remembered} days are not more than the {kept} of "
            "log.retention_days, so an event that is sent again could be told twice; "
            f"set notifications.dedupe_days to {kept + 1} or more, or lower log.retention_days"
        )
    for name, count in Counter(each.name for each in settings.namespaces).items():
        if name in FAMILIES:
            yield f"namespaces: '{name}' is a family of Nova's own channels; choose another name"
        elif count > 1:
            yield f"namespaces: there are {count} called '{name}'"
    if settings.tokens.jwks_url:
        if settings.tokens.jwks_file:
            yield "tokens.jwks_url and tokens.jwks_file: give one of the two"
        try:
            check_address(settings.tokens.jwks_url)
        except ValueError as wrong:
            yield f"tokens.jwks_url: {wrong}"
    yield from _bad_networks(settings.outgoing.allowed_networks)


def _bad_networks(networks: Sequence[str]) -> Iterator[str]:
    for network in networks:
        try:
            ip_network(network)
        except ValueError as wrong:
            yield f"outgoing.allowed_networks: {wrong}"


def _from_file(path: Path, known: Mapping[str, Knob], problems: list[str]) -> dict[str, object]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        problems.append(f"{path}: not valid TOML: {wrong}")
        return {}
    except OSError as wrong:
        problems.append(f"{path}: cannot be read: {wrong.strerror}")
        return {}
    flat = {}
    for name, value in document.items():
        if isinstance(value, dict) and name not in known:
            flat.update({f"{name}.{inner}": each for inner, each in value.items()})
        else:
            flat[name] = value
    return _checked(flat, known, str(path), problems)


def _from_environment(
    environment: Mapping[str, str], known: Mapping[str, Knob], problems: list[str]
) -> dict[str, object]:
    by_variable = {knob.variable: knob for knob in known.values()}
    given: dict[str, object] = {}
    for variable, value in environment.items():
        text = value
        if not variable.startswith("NOVA_") or variable.startswith("NOVA_TEST_"):
            continue
        knob = by_variable.get(variable)
        if knob is None and variable.endswith("_FILE"):
            knob = by_variable.get(variable.removesuffix("_FILE"))
            text = _file_of(variable, text, problems)
        if knob is None:
            problems.append(f"{variable}: unknown{_suggestion(variable, by_variable)}")
        else:
            given[knob.name] = _parsed(knob, text)
    return _checked(given, known, "environment", problems)


def _file_of(variable: str, path: str, problems: list[str]) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as wrong:
        problems.append(f"{variable}: cannot read {path}: {wrong}")
        return ""


def _parsed(knob: Knob, text: str) -> object:
    """Turn a variable's text into what TOML would have given."""
    if text.lstrip().startswith(("[", "{")):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    if get_origin(get_args(knob.type)[0]) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _checked(
    given: Mapping[str, object], known: Mapping[str, Knob], origin: str, problems: list[str]
) -> dict[str, object]:
    right = {}
    for name, value in given.items():
        if name not in known:
            problems.append(f"{origin}: {name}: unknown setting{_suggestion(name, known)}")
            continue
        try:
            right[name] = msgspec.convert(
                value, known[name].type, strict=not isinstance(value, str), dec_hook=_path
            )
        except msgspec.ValidationError as wrong:
            problems.append(f"{origin}: {name}: {wrong}")
    return right


def _path(kind: type[Any], value: object) -> Path:
    if kind is Path and isinstance(value, str | Path) and str(value):
        return Path(value)
    raise ValueError("Expected the path of a folder")


def _suggestion(name: str, known: Mapping[str, object]) -> str:
    close = get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else "; `nova config doc` lists all settings"


def _nested(values: Mapping[str, object]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *sections, last = name.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return tree
