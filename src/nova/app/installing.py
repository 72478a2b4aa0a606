"""Hand over to the backbone, the sockets and the metrics what a feature brings."""

from contextlib import AsyncExitStack

from nova.app.children import Child
from nova.app.shared import Shared
from nova.backbone.backbone import Backbone
from nova.feature import Feature


def install(feature: Feature, shared: Shared, stack: AsyncExitStack) -> None:
    """Have everything that a feature brings run, but for what a server asks of all of them."""
    listen(feature, shared.backbone)
    work(feature, shared.backbone)
    for channel in feature.channels:
        shared.families.add(channel)
    shared.methods |= {rpc.method: rpc for rpc in feature.rpcs}
    for collector in feature.metrics:
        shared.registry.register(collector)
    for close in feature.close:
        stack.push_async_callback(close)


def listen(feature: Feature, backbone: Backbone) -> None:
    """Have a feature hear facts and signals."""
    for group in feature.groups:
        backbone.group(group.name, group.hears, group.directly)
    for each in feature.projections:
        backbone.project(each.name, each.hears, fill=each.fill, hear=each.hear, keep=each.keep)
    for index in feature.indexes:
        backbone.project_outside(index.name, index.hears, index.keeper)
    for signal in feature.signals:
        backbone.signals.on(signal.name, signal.call)
    for call in feature.unknown_signals:
        backbone.signals.when_unknown(call)


def work(feature: Feature, backbone: Backbone) -> None:
    """Have done what a feature does beside requests."""
    backbone.jobs += feature.jobs
    backbone.turns += [(turn.name, turn.run) for turn in feature.turns]
    backbone.turns += [(f"child {each.name}", Child(each).turn) for each in feature.children]
