"""A contract type for import-linter: the modules of a feature import in one direction.

A module's name tells its room. `api` parses and answers, a service decides, `rules` decide without
side effects, a store holds SQL, `models` and `events` are Structs; `__init__` puts them together.
"""

from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

MAY_IMPORT = {
    "door": {"door", "api", "service", "rules", "store", "models", "events"},
    "api": {"api", "service", "rules", "models", "events"},
    "service": {"service", "rules", "store", "models", "events"},
    "rules": {"service", "rules", "models", "events"},
    "store": {"rules", "store", "models", "events"},
    "models": {"rules", "models", "events"},
    "events": {"events"},
}
"""By room, the rooms of the same feature that it may import. Rules may import what is as pure."""


class RoomsContract(Contract):
    """Modules of one feature import each other as the table says.

    `features` is the package that holds the features. `pure` are modules that rules may import.
    """

    type_name = "rooms"

    features: Any = fields.StringField()
    pure: Any = fields.SetField(subfield=fields.StringField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002, FBT001  # its shape
        found = [
            f"{module} -> {other}"
            for feature in graph.find_children(self.features)
            for modules in [graph.find_descendants(feature) | {feature}]
            for module in modules
            for other in graph.find_modules_directly_imported_by(module) & modules
            if not self._may(room(module, feature), room(other, feature), other)
        ]
        return ContractCheck(kept=not found, metadata={"found": sorted(found)})

    def _may(self, one: str, other: str, module: str) -> bool:
        if one == "rules" and other == "service":
            return module in (self.pure or ())
        return other in MAY_IMPORT[one]

    def render_broken_contract(self, check: ContractCheck) -> None:
        for each in check.metadata["found"]:
            output.print_error(f"- {each}", bold=False)


def room(module: str, feature: str) -> str:
    """Return the room that a module of a feature belongs to, by its name."""
    if module == feature:
        return "door"
    name = module.rpartition(".")[2]
    if name == "store" or name.startswith("store_") or name.endswith("_store"):
        return "store"
    if name == "routes":
        return "api"
    return name if name in MAY_IMPORT else "service"
