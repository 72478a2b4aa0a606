"""All knobs of a deployment, and the list of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct, field

from nova.kernel.choices import Choices
from nova.settings.access import Tokens
from nova.settings.carriers import Apns, Fcm, Outgoing, Smtp, Webpush
from nova.settings.features import Deliveries, Feeds, Notifications
from nova.settings.kinds import Natural, Secret, about
from nova.settings.serving import Http, Limits, Socket
from nova.settings.truth import Log, Postgres
from nova.web.realtime.namespaces import Namespace


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
    sockets: Annotated[
        Secret,
        about(
            "What carries messages between the sockets of several processes: `embedded:` for the "
            "database, or redis://user:password@host:port,host:port/prefix of a Redis Cluster "
            "(rediss:// encrypted)."
        ),
    ] = "embedded:"
    log_format: Annotated[
        Literal["auto", "text", "json"],
        about(
            "How log lines are written: `text` for people, `json` for programs; `auto` writes text "
            "to a terminal and JSON elsewhere."
        ),
    ] = "auto"
    workers: Annotated[
        Annotated[int, Meta(ge=1, le=64)],
        about(
            "Processes that serve the address, each with everything; SIGHUP restarts them one "
            "after the other. One fits two cores."
        ),
    ] = 1
    namespaces: Annotated[
        tuple[Namespace, ...],
        about("Families of channels for the app's own use; see the socket's reference."),
    ] = ()
    http: Http = field(default_factory=Http)
    tokens: Tokens = field(default_factory=Tokens)
    postgres: Postgres = field(default_factory=Postgres)
    log: Log = field(default_factory=Log)
    socket: Socket = field(default_factory=Socket)
    limits: Limits = field(default_factory=Limits)
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
    generated: bool = False
    """Whether the first start makes up a value for this secret."""
    choices: tuple[str, ...] = ()
    """The values that there are, if they are a choice."""

    @property
    def variable(self) -> str:
        return "NOVA_" + self.name.replace(".", "_").upper()


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
            any((meta.extra or {}).get("generated") for meta in metas),
            tuple(Choices(kind).at("$")),
        )
