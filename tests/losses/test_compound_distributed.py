"""Two processes with half of a batch each against one process with all of it."""

from __future__ import annotations

import pytest
import torch
from compound_oracle import softmax_case
from torch import distributed, multiprocessing, nn

from tubeskel import dice_ce_srl_loss, soft_cldice_loss

pytestmark = pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available()), reason="no gloo"
)
OPTIONS = [
    {"label_smoothing": 0.1, "ignore_index": 2},
    {"recall": "log", "class_weights": [1.0, 2.0, 0.5]},
    {"recall": "tversky", "include_background": True},
]
SHARES = (slice(0, 1), slice(1, 4))  # of the batch: one sample, three samples


def case():
    logits, target, tube = softmax_case(samples=4, channels=3)
    target[0] = 0  # the first process has no foreground at all
    tube[0] = 0
    return logits, target, tube


def network():
    net = nn.Conv2d(3, 3, 1).double()
    nn.init.eye_(net.weight[..., 0, 0])
    nn.init.zeros_(net.bias)
    return net


def work(rank, folder):
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    logits, target, tube = (tensor.detach()[SHARES[rank]] for tensor in case())
    results = []
    for options in OPTIONS:
        own = logits.clone().requires_grad_()
        loss = dice_ce_srl_loss(own, target, tube=tube, **options)
        (grad,) = torch.autograd.grad(loss, own)
        net = nn.parallel.DistributedDataParallel(network())
        dice_ce_srl_loss(net(logits), target, tube=tube, **options).backward()
        alone = dice_ce_srl_loss(own, target, tube=tube, distributed=False, **options)
        samples = dice_ce_srl_loss(own, target, tube=tube, batch=False, **options)
        results.append(
            (loss.detach(), grad, net.module.weight.grad, alone.detach(), samples.detach())
        )
    own = logits.clone().requires_grad_()
    loss = soft_cldice_loss(own, target, iterations=2)
    (grad,) = torch.autograd.grad(loss, own)
    alone = soft_cldice_loss(own, target, iterations=2, distributed=False)
    results.append((loss.detach(), grad, alone.detach()))
    torch.save(results, f"{folder}/{rank}.pt")
    distributed.barrier()  # neither leaves while the other still waits for it
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(work, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("index", range(len(OPTIONS)))
def test_equals_one_process_on_the_joined_batch(results, index):
    logits, target, tube = case()
    loss = dice_ce_srl_loss(logits, target, tube=tube, **OPTIONS[index])
    (grad,) = torch.autograd.grad(loss, logits)
    net = network()
    dice_ce_srl_loss(net(logits), target, tube=tube, **OPTIONS[index]).backward()
    for rank, share in enumerate(SHARES):
        own_loss, own_grad, weight_grad, _, _ = results[rank][index]
        torch.testing.assert_close(own_loss, loss.detach())
        # each process has W times its part: DDP takes the mean over the W of them
        torch.testing.assert_close(own_grad, 2 * grad[share])
        torch.testing.assert_close(weight_grad, net.weight.grad)


def test_soft_cldice(results):
    logits, target, _ = case()
    loss = soft_cldice_loss(logits, target, iterations=2)
    (grad,) = torch.autograd.grad(loss, logits)
    for rank, share in enumerate(SHARES):
        own_loss, own_grad, alone = results[rank][-1]
        torch.testing.assert_close(own_loss, loss.detach())
        torch.testing.assert_close(own_grad, 2 * grad[share])
        expected = soft_cldice_loss(logits[share], target[share], iterations=2)
        torch.testing.assert_close(alone, expected.detach())


@pytest.mark.parametrize("index", range(len(OPTIONS)))
def test_each_process_by_itself(results, index):
    logits, target, tube = case()
    for rank, share in enumerate(SHARES):
        part = (logits[share], target[share])
        _, _, _, alone, samples = results[rank][index]
        expected = dice_ce_srl_loss(*part, tube=tube[share], **OPTIONS[index])
        torch.testing.assert_close(alone, expected.detach())
        expected = dice_ce_srl_loss(*part, tube=tube[share], batch=False, **OPTIONS[index])
        torch.testing.assert_close(samples, expected.detach())
