"""The piece of a distributed tensor that this rank holds, and which piece that is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch.distributed.tensor import DTensor, Partial, Replicate

if TYPE_CHECKING:
    from torch import Tensor, nn


def local(x: Tensor) -> Tensor:
    """Return this rank's piece of a tensor, for work that differs from rank to rank.

    Where ranks hold the same piece, each one's gradient is a part of the sum.
    """
    if not isinstance(x, DTensor):
        return x
    gradients = [Partial() if isinstance(p, Replicate) else p for p in x.placements]
    piece: Tensor = x.to_local(grad_placements=gradients)
    return piece


def held(x: Tensor) -> Tensor:
    """Return the memory of this rank's piece, outside of autograd."""
    return x._local_tensor if isinstance(x, DTensor) else x


def gradient(parameter: nn.Parameter) -> Tensor | None:
    """Return this rank's piece of a gradient, summed over ranks that hold the same piece."""
    grad = parameter.grad
    if not isinstance(grad, DTensor) or not isinstance(parameter, DTensor):
        return grad
    if grad.placements != parameter.placements:
        grad = grad.redistribute(placements=parameter.placements)
    return held(grad)


def num_pieces(x: Tensor) -> int:
    """Return into how many different pieces a tensor is cut."""
    if not isinstance(x, DTensor):
        return 1
    sizes = zip(x.placements, x.device_mesh.shape, strict=True)
    return math.prod(size for placement, size in sizes if not placement.is_replicate())


def window(x: Tensor) -> tuple[slice, ...]:
    """Return which part of the whole tensor this rank's piece is."""
    if not isinstance(x, DTensor):
        return tuple(slice(0, n) for n in x.shape)
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    shape, offset = compute_local_shape_and_global_offset(x.shape, x.device_mesh, x.placements)
    return tuple(slice(o, o + n) for o, n in zip(offset, shape, strict=True))


def like(x: Tensor, piece: Tensor) -> Tensor:
    """Return a tensor cut as `x` is, of which this rank holds `piece`."""
    if not isinstance(x, DTensor):
        return piece
    return DTensor.from_local(
        piece, x.device_mesh, x.placements, run_check=False, shape=x.shape, stride=x.stride()
    )
