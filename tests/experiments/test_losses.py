"""The losses: their terms, their weights, and deep supervision that is the same for all terms."""

import pytest
import torch
from torch.nn import functional

from experiments import losses
from experiments.config import NetworkConfig
from experiments.losses import LOSSES, TERMS, DeepSupervisedLoss
from experiments.networks import build_network, training_heads


@pytest.fixture
def target():
    target = torch.zeros(2, 32, 32, dtype=torch.int64)
    target[0, 4:12, :] = 1
    target[1, :, 20:23] = 1
    return target


@pytest.fixture
def heads():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 2, 32, 32, generator=generator).requires_grad_() for _ in range(3)]


def test_dice_and_cross_entropy_are_their_formulas(heads, target):
    probability = heads[0].softmax(1)[:, 1]
    overlap = 2 * (probability * target).sum() / (probability.sum() + target.sum())
    assert TERMS["dice"](heads[0], target, target).item() == pytest.approx(
        1 - overlap.item(), abs=1e-6
    )
    expected = -heads[0].log_softmax(1).gather(1, target[:, None]).mean()
    assert TERMS["ce"](heads[0], target, target).item() == pytest.approx(expected.item(), abs=1e-6)


def test_skeleton_recall_is_minus_the_mean_probability_on_the_tube(heads, target):
    tube = target.clone()
    tube[0, 4:6] = 0
    expected = -heads[0].softmax(1)[:, 1][tube > 0].mean()
    assert TERMS["srl"](heads[0], target, tube).item() == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_is_the_weighted_sum_of_its_terms(heads, target, loss):
    value, terms = DeepSupervisedLoss(loss, alpha=0.5)(heads, target, monitor=True)
    weights = {"dice": 1, "ce": 1, "srl": 0.5}
    expected = sum(weights[name] * terms[name] for name in LOSSES[loss])
    assert value.item() == pytest.approx(expected, abs=1e-6)
    assert set(terms) == set(TERMS)


@pytest.mark.parametrize("term", TERMS)
def test_every_term_has_the_same_deep_supervision(heads, target, term):
    loss = DeepSupervisedLoss("dice_ce_srl")
    _, together = loss(heads, target, monitor=True)
    single = [loss([head], target, monitor=True)[1][term] for head in heads]
    expected = (4 * single[0] + 2 * single[1] + single[2]) / 7
    assert together[term] == pytest.approx(expected, abs=1e-6)


def test_a_monitored_term_has_no_gradient(heads, target):
    loss = DeepSupervisedLoss("dice_ce")
    gradients = []
    for monitor in (False, True):
        value, _ = loss(heads, target, monitor=monitor)
        gradients.append(torch.autograd.grad(value, heads))
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_the_tube_is_made_once_for_all_heads(heads, target, monkeypatch):
    import tubeskel

    made = []
    original = tubeskel.tubed_skeleton

    def counting(*arguments, **options):
        made.append(options["radius"])
        return original(*arguments, **options)

    monkeypatch.setattr(tubeskel, "tubed_skeleton", counting)
    DeepSupervisedLoss("dice_ce_srl", radius=1)(heads, target, monitor=True)
    DeepSupervisedLoss("dice_ce")(heads, target)
    assert made == [1]


def test_the_gradient_of_skeleton_recall_pulls_the_tube_up_and_leaves_the_rest(target):
    logits = torch.zeros(2, 2, 32, 32, requires_grad=True)
    tube = DeepSupervisedLoss("ce_srl")._tube(target)
    TERMS["srl"](logits, target, tube).backward()
    pull = -logits.grad[:, 1]
    assert (pull[tube > 0] > 0).all()
    assert (pull[tube == 0] == 0).all()


def test_an_empty_target_gives_finite_terms(heads):
    empty = torch.zeros(2, 32, 32, dtype=torch.int64)
    value, terms = DeepSupervisedLoss("dice_ce_srl")(heads, empty, monitor=True)
    value.backward()
    assert terms["srl"] == 0
    assert all(torch.isfinite(head.grad).all() for head in heads)


def test_every_term_of_every_loss_is_known():
    assert {term for terms in LOSSES.values() for term in terms} <= set(TERMS)
    assert set(losses.TOPOLOGY_TERMS) <= set(TERMS)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_network_gives_its_heads_at_full_size(count):
    network = build_network(NetworkConfig((4, 8, 8, 8), count), 1, 2, seed=0, fold=0)
    image = torch.randn(2, 1, 32, 48)
    network.train()
    heads = training_heads(network, image)
    assert [head.shape for head in heads] == [(2, 2, 32, 48)] * (count + 1)
    functional.cross_entropy(heads[-1], torch.zeros(2, 32, 48, dtype=torch.int64)).backward()
    network.eval()
    assert network(image).shape == (2, 2, 32, 48)


def test_initial_weights_depend_on_seed_and_fold_only():
    def weights(seed, fold):
        network = build_network(NetworkConfig((4, 8, 8), 1), 1, 2, seed, fold)
        return torch.cat([weight.flatten() for weight in network.parameters()])

    first = weights(0, 0)
    state = torch.get_rng_state()
    torch.rand(3)
    assert torch.equal(first, weights(0, 0))
    assert not torch.equal(first, weights(1, 0))
    assert not torch.equal(first, weights(0, 1))
    torch.set_rng_state(state)
    weights(0, 0)
    assert torch.equal(state, torch.get_rng_state())
