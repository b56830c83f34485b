"""The losses under the transforms of `torch.func`."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import forward_ad

from tubeskel import dice_ce_soft_cldice_loss, dice_ce_srl_loss, soft_cldice_loss, srl_loss

LOSSES = [srl_loss, dice_ce_srl_loss, soft_cldice_loss, dice_ce_soft_cldice_loss]


def case(*batch):
    return torch.randn(*batch, 2, 3, 9, 8), torch.randint(0, 3, (*batch, 2, 9, 8))


@pytest.mark.parametrize("loss", LOSSES)
def test_forward_mode_is_refused(loss):
    logits, target = case()
    with pytest.raises(RuntimeError, match="no forward-mode derivative"):
        torch.func.jvp(lambda z: loss(z, target), (logits,), (logits,))
    with forward_ad.dual_level(), pytest.raises(RuntimeError, match="no forward-mode derivative"):
        loss(forward_ad.make_dual(logits, logits), target)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("axis", [0, -1])
def test_vmap_is_a_loop(loss, axis):
    logits, target = case(4)
    expected = torch.stack([loss(z, y) for z, y in zip(logits, target, strict=True)])
    given = (tensor.movedim(0, axis).contiguous() for tensor in (logits, target))
    assert torch.equal(torch.vmap(loss, in_dims=axis)(*given), expected)
