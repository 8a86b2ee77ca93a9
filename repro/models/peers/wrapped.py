"""Where clips change from frames-first to channels-first, and the wrapper around torchvision's networks."""

from torch import Tensor, nn

from repro.models.blocks import check_clips


def channels_first(clips: Tensor) -> Tensor:
    """``(B, N, 3, H, W)`` to ``(B, 3, N, H, W)``, a view. Raises ValueError for another shape."""
    check_clips(clips)
    return clips.transpose(1, 2)


def check_size(clips: Tensor, *, frames: int, size: int, because: str) -> None:
    """Raise ValueError unless clips are ``(B, frames, 3, size, size)``; ``because`` ends the message."""
    if tuple(clips.shape[1:]) != (frames, 3, size, size):
        raise ValueError(f"clips must be (batch, {frames}, 3, {size}, {size}), not {tuple(clips.shape)}: {because}")


class ChannelsFirst(nn.Module):
    """A network of clips ``(B, 3, N, H, W)`` behind this project's input order.

    ``fixed``: (frames, size, reason) of a network that runs at one input alone.
    Shape: ``(B, N, 3, H, W)`` float to logits ``(B, classes)``. Raises ValueError for another shape.
    """

    def __init__(self, network: nn.Module, *, fixed: tuple[int, int, str] | None = None) -> None:
        super().__init__()
        self.network = network
        self.fixed = fixed

    def forward(self, clips: Tensor) -> Tensor:
        if self.fixed is not None:
            frames, size, because = self.fixed
            check_size(clips, frames=frames, size=size, because=because)
        return self.network(channels_first(clips))
