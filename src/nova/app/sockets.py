"""The composition root's part about sockets, and about whoever calls over HTTP."""

from nova.app import access
from nova.app.shared import Shared
from nova.app.starting import EMBEDDED
from nova.feature import Feature, Health, Job, Role, Signal, Turn
from nova.web.realtime.metrics import Sockets
from nova.web.realtime.position_audit import PositionAudit
from nova.web.realtime.routes import routes


def feature(shared: Shared) -> Feature:
    """Return what the web server itself brings: channels, credentials, repeated requests.

    Sockets hear what this process and others publish, and what did not arrive is found.
    """
    auth, hub, backbone = shared.auth, shared.hub, shared.backbone
    watch = access.watch(hub, shared.people)
    audit = PositionAudit(hub.lanes, backbone.channels, backbone.broadcasting)
    backbone.on_publication(hub.deliver)
    backbone.broadcasting.on_missed(audit.check_all)
    return Feature(
        name="sockets",
        routes=routes(hub),
        signals=(
            Signal("user", auth.forget_users),
            Signal("user", watch.on_user),
            Signal("key", auth.forget_keys),
            Signal("revoked", auth.forget_tokens),
            Signal("revoked", watch.on_revoked),
        ),
        unknown_signals=(watch.on_unknown,),
        jobs=(Job("web.idempotency", 600.0, shared.idempotency.expire),),
        turns=(
            Turn("auth.uses", auth.turn, Role.WEB),
            Turn("positions", audit.turn, Role.GATEWAY),
        ),
        health=_health(shared),
        metrics=(Sockets(hub),),
    )


def _health(shared: Shared) -> tuple[Health, ...]:
    keys, is_outside = shared.keys, shared.settings.sockets != EMBEDDED
    engine = shared.backbone.broadcasting.engine
    return (
        *((Health("jwks", keys.ping, needed=True),) if keys else ()),
        *((Health("sockets", engine.ping),) if is_outside else ()),
    )
