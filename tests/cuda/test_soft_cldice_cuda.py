"""`soft_cldice_loss` on a GPU: the CPU's values."""

from __future__ import annotations

import pytest
import torch
from srl_oracle import value_and_grad

from tubeskel import soft_cldice_loss

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize("shape", [(40, 50), (12, 13, 14)])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_values_and_gradients_of_the_cpu(shape, activation):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, *shape, generator=generator, dtype=torch.float64)
    target = torch.randint(0, 3, (2, *shape), generator=generator)
    if activation == "sigmoid":
        target = torch.stack([target == c for c in range(3)], 1)
    found = []
    for device in ("cpu", "cuda"):
        z = logits.to(device).requires_grad_()
        loss = soft_cldice_loss(z, target.to(device), activation=activation, ignore_index=1)
        found.append([t.cpu() for t in value_and_grad(loss, z)])
    torch.testing.assert_close(*found)
