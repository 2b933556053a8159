"""Look inside recurrent networks: `elman.lens.states`, `gradient_flow`, `memory_horizon`, `order` and more.

Names are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from elman.lens.activity import States, states
    from elman.lens.attached import Attached, attach
    from elman.lens.bad_step import BadStep, first_bad_step
    from elman.lens.diagnosis import Diagnosis, diagnose
    from elman.lens.finding import Finding
    from elman.lens.flow import GradientFlow, gradient_flow
    from elman.lens.horizon import MemoryHorizon, memory_horizon
    from elman.lens.information import Dependency, dependency
    from elman.lens.integrated import Attribution, PrefixAttribution, attribution, attribution_by_prefix
    from elman.lens.jacobians import jacobian, lyapunov_exponents
    from elman.lens.looking import look
    from elman.lens.matches import Match, Neighbours, neighbours
    from elman.lens.report import Report
    from elman.lens.shuffling import Order, Shuffled, order
    from elman.lens.units import UnitColours, unit_colours
    from elman.lens.unrolled import Unrolled, unroll
    from elman.lens.view import View, view_of

__all__ = [
    "Attached",
    "Attribution",
    "BadStep",
    "Dependency",
    "Diagnosis",
    "Finding",
    "GradientFlow",
    "Match",
    "MemoryHorizon",
    "Neighbours",
    "Order",
    "PrefixAttribution",
    "Report",
    "Shuffled",
    "States",
    "UnitColours",
    "Unrolled",
    "View",
    "attach",
    "attribution",
    "attribution_by_prefix",
    "dependency",
    "diagnose",
    "first_bad_step",
    "gradient_flow",
    "jacobian",
    "look",
    "lyapunov_exponents",
    "memory_horizon",
    "neighbours",
    "order",
    "states",
    "unit_colours",
    "unroll",
    "view_of",
]

_HOME: Final = {
    "activity": ("States", "states"),
    "attached": ("Attached", "attach"),
    "bad_step": ("BadStep", "first_bad_step"),
    "diagnosis": ("Diagnosis", "diagnose"),
    "finding": ("Finding",),
    "flow": ("GradientFlow", "gradient_flow"),
    "horizon": ("MemoryHorizon", "memory_horizon"),
    "information": ("Dependency", "dependency"),
    "integrated": ("Attribution", "PrefixAttribution", "attribution", "attribution_by_prefix"),
    "jacobians": ("jacobian", "lyapunov_exponents"),
    "looking": ("look",),
    "matches": ("Match", "Neighbours", "neighbours"),
    "report": ("Report",),
    "shuffling": ("Order", "Shuffled", "order"),
    "units": ("UnitColours", "unit_colours"),
    "unrolled": ("Unrolled", "unroll"),
    "view": ("View", "view_of"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"elman.lens.{module}"), name)
    raise AttributeError(f"module 'elman.lens' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
