"""Weights of a network with narrower residual blocks, out of those of a wide one.

Of each block the inner channels are kept that weigh most: the size of what makes a channel times
the size of what is made of it. A network that begins so is close to the wide one, and learns the
rest in a fraction of the steps that one with fresh weights takes.
"""

from torch import Tensor


def narrowed(there: dict[str, Tensor], here: dict[str, Tensor]) -> None:
    """Cut residual blocks of a state to the width that another one's have.

    Args:
        there: State of the wide network; changed.
        here: State of the narrow one, of which only the shapes count.
    """
    for name in [key for key in there if key.endswith(".first.weight")]:
        block = name.removesuffix("first.weight")
        first, second, wanted = there[name], there[f"{block}second.weight"], here.get(name)
        if wanted is None or wanted.shape[1:] != first.shape[1:] or len(wanted) >= len(first):
            continue
        weight = first.flatten(1).norm(dim=1) * second.transpose(0, 1).flatten(1).norm(dim=1)
        kept = weight.topk(len(wanted)).indices.sort().values
        there[name] = first[kept]
        there[f"{block}first.bias"] = there[f"{block}first.bias"][kept]
        there[f"{block}second.weight"] = second[:, kept]
