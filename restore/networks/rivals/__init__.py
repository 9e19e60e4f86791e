"""The comparison group, each behind the same interface and trained by the same loop."""

from ...config import NetworkConfig
from ..restorer import Restorer


def build_rival(config: NetworkConfig) -> Restorer:
    """A rival by name, with fresh weights."""
    if config.name == "dscnn":
        from .dscnn import Dscnn

        return Dscnn(config)
    if config.name == "dkfn":
        from .dkfn import Dkfn

        return Dkfn(config)
    if config.name == "mfqe":
        from .mfqe import Mfqe

        return Mfqe(config)
    if config.name == "edvr":
        from .edvr import Edvr

        return Edvr(config)
    from .basicvsrpp import BasicVsrPlusPlus

    return BasicVsrPlusPlus(config)
