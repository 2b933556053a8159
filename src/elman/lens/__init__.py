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
    from elman.lens.integrated import Attribution, PrefixAttribution, attribution, attribution_by_prefix
    from elman.lens.jacobians import jacobian, lyapunov_exponents
    from elman.lens.looking import Report, look
    from elman.lens.shuffling import Shuffled, order
    from elman.lens.view import View, view_of

__all__ = [
    "Attached",
    "Attribution",
    "BadStep",
    "Diagnosis",
    "Finding",
    "GradientFlow",
    "MemoryHorizon",
    "PrefixAttribution",
    "Report",
    "Shuffled",
    "States",
    "View",
    "attach",
    "attribution",
    "attribution_by_prefix",
    "diagnose",
    "first_bad_step",
    "gradient_flow",
    "jacobian",
    "look",
    "lyapunov_exponents",
    "memory_horizon",
    "order",
    "states",
    "view_of",
]

_HOME: Final = {
    "activity": ("States", "states"),
    "attached": ("Attached", "attach"),
    "integrated": ("Attribution", "PrefixAttribution", "attribution", "attribution_by_prefix"),
    "bad_step": ("BadStep", "first_bad_step"),
    "diagnosis": ("Diagnosis", "diagnose"),
    "finding": ("Finding",),
    "flow": ("GradientFlow", "gradient_flow"),
    "horizon": ("MemoryHorizon", "memory_horizon"),
    "jacobians": ("jacobian", "lyapunov_exponents"),
    "looking": ("Report", "look"),
    "shuffling": ("Shuffled", "order"),
    "view": ("View", "view_of"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"elman.lens.{module}"), name)
    raise AttributeError(f"module 'elman.lens' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
