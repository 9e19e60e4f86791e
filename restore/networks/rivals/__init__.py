"""The comparison group, each behind the same interface and trained by the same loop."""

from importlib import import_module

from ...config import NetworkConfig
from ..restorer import Restorer

RIVALS = {
    "dscnn": "Dscnn",
    "dkfn": "Dkfn",
    "mfqe": "Mfqe",
    "edvr": "Edvr",
    "basicvsrpp": "BasicVsrPlusPlus",
}
"""Class by name; the module has the name."""


def build_rival(config: NetworkConfig) -> Restorer:
    """A rival by name, with fresh weights.

    Raises:
        ValueError: There is none of that name.
    """
    if config.name not in RIVALS:
        raise ValueError(f"no rival {config.name!r}: expected one of {', '.join(RIVALS)}")
    module = import_module(f".{config.name}", __name__)
    network: Restorer = getattr(module, RIVALS[config.name])(config)
    return network
