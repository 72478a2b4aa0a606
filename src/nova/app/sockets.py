"""The composition root's part about sockets: what they hear of this process and of others."""

from nova.backbone.backbone import Backbone
from nova.web.realtime.hub import Hub
from nova.web.realtime.position_audit import PositionAudit


def connect(backbone: Backbone, hub: Hub) -> None:
    """Have sockets hear publications, and have those found that did not arrive."""
    backbone.on_publication(hub.deliver)
    audit = PositionAudit(hub.lanes, backbone.channels, backbone.broadcasting)
    backbone.broadcasting.on_missed(audit.check_all)
    backbone.turns.append(("positions", audit.turn))
