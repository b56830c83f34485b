"""A topology term whose weight may change with the progress of training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from .._arguments import as_number
from ._dice_ce import dice_ce


class ScheduledLoss(nn.Module):
    """Dice + cross-entropy + `alpha` times another term, a number or a function of progress."""

    def __init__(self, alpha: float | Callable[[float], float], options: dict[str, Any]) -> None:
        super().__init__()
        self.alpha = alpha if callable(alpha) else as_number("alpha", alpha, minimum=0)
        self.progress = 0.0
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", options.pop("class_weights"), persistent=False)
        self.options = options

    def set_progress(self, progress: float) -> None:
        """Say how much of the training is done, 0 to 1; an `alpha` that is a function needs it."""
        progress = as_number("progress", progress, minimum=0)
        if progress > 1:
            raise ValueError(f"progress must be at most 1, got {progress}")
        self.progress = progress

    def current_alpha(self) -> float:
        """Return the weight of the topology term at the present progress."""
        return self.alpha(self.progress) if callable(self.alpha) else self.alpha

    def weights_for(self, logits: Any) -> Tensor | None:
        """Return the class weights, which stay on the device of the logits once they got there."""
        weights = self.class_weights
        if weights is not None and isinstance(logits, Tensor) and weights.device != logits.device:
            self.class_weights = weights.to(logits.device)
        return self.class_weights

    def without_topology(self, logits: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return Dice + cross-entropy alone, and both terms."""
        return dice_ce(logits, target, self.options | {"class_weights": self.weights_for(logits)})

    def extra_repr(self) -> str:
        """Return the options for printing."""
        options = {"alpha": self.alpha, "class_weights": self.class_weights, **self.options}
        return ", ".join(f"{name}={value!r}" for name, value in options.items())
