"""The losses of the arms: terms, weights, tubes, and deep supervision alike for all terms."""

import pytest
import torch

from experiments.config import ArmConfig
from experiments.losses import (
    IGNORE,
    LOSSES,
    MONITORED,
    TOPOLOGY_TERMS,
    ArmLoss,
    TermsConfig,
)


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


def loss_of(loss="dice_ce_srl", head_weights=(), terms=None, **fields):
    return ArmLoss(ArmConfig(loss, **fields), head_weights, terms)


def test_the_terms_are_their_formulas(heads, target):
    from tubeskel import tubed_skeleton

    probability = heads[0].softmax(1)[:, 1]
    overlap = 2 * (probability * target).sum() / (probability.sum() + target.sum())
    tube = tubed_skeleton(target, radius=1, spatial_dims=2)
    expected = {
        "dice": -overlap,
        "ce": -heads[0].log_softmax(1).gather(1, target[:, None]).mean(),
        "srl": -probability[tube > 0].mean(),
    }
    terms = loss_of(radius=1).monitor(heads[:1], target)
    assert terms == {name: pytest.approx(v.item(), abs=1e-5) for name, v in expected.items()}


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_is_the_weighted_sum_of_its_terms(heads, target, loss):
    arm = loss_of(loss, alpha=0.5)
    terms = arm.monitor(heads, target)
    weights = {name: 0.5 if name in TOPOLOGY_TERMS else 1 for name in LOSSES[loss]}
    expected = sum(weight * terms[name] for name, weight in weights.items())
    assert arm(heads, target).item() == pytest.approx(expected, abs=1e-5)
    assert set(terms) == {*MONITORED, *LOSSES[loss]}


@pytest.mark.parametrize("loss", LOSSES)
def test_the_scale_is_of_the_whole_loss(heads, target, loss):
    value, halved = loss_of(loss), loss_of(loss, scale=0.5)
    assert halved(heads, target).item() == pytest.approx(value(heads, target).item() / 2)
    assert halved.monitor(heads, target) == value.monitor(heads, target)


def test_dice_and_recall_of_each_image_and_of_the_background(heads, target):
    """As Valverde et al. (2025) take them."""
    from tubeskel import tubed_skeleton

    probability = heads[0].softmax(1)
    truth = torch.stack([target == 0, target == 1], 1)
    overlap = 2 * (probability * truth).sum((2, 3)) / (probability + truth.float()).sum((2, 3))
    tube = tubed_skeleton(target, spatial_dims=2) > 0
    recall = (probability[:, 1] * tube).sum((1, 2)) / tube.sum((1, 2))
    terms = loss_of(terms=TermsConfig(batch=False, background=True)).monitor(heads[:1], target)
    assert terms["dice"] == pytest.approx(-overlap.mean().item(), abs=1e-5)
    assert terms["srl"] == pytest.approx(-recall.mean().item(), abs=1e-5)


def test_the_published_cldice_loss_is_half_dice_and_half_cldice(heads, target):
    from tubeskel import soft_cldice_loss

    arm = loss_of("dice_cldice", terms=TermsConfig(cldice_iterations=3), scale=0.5)
    dice = arm.monitor(heads[:1], target)["dice"]
    cldice = soft_cldice_loss(heads[0], target, iterations=3).item()
    assert cldice != pytest.approx(soft_cldice_loss(heads[0], target).item(), abs=1e-3)
    assert arm(heads[:1], target).item() == pytest.approx((dice + cldice) / 2, abs=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weights", [(), (0.5, 0.0, 3.0)])
def test_every_term_has_the_same_deep_supervision(heads, target, loss, weights):
    arm = loss_of(loss, weights)
    single = [loss_of(loss)([head], target).item() for head in heads]
    shares = weights or (4 / 7, 2 / 7, 1 / 7)
    expected = sum(w * value for w, value in zip(shares, single, strict=True))
    assert arm(heads, target).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_without_deep_supervision_the_heads_do_not_count(heads, target, loss):
    arm = loss_of(loss, (0.5, 0.3, 0.2), deep_supervision=False)
    assert torch.equal(arm(heads, target), loss_of(loss, (1.0,))(heads[:1], target))
    assert arm.monitor(heads, target) == arm.monitor(heads[:1], target)


@pytest.mark.parametrize(("weights", "scale"), [((), 1.0), ((1 / 7, 1 / 14, 1 / 14), 2 / 7)])
def test_the_loss_is_as_large_without_deep_supervision(heads, target, weights, scale):
    same = [heads[0]] * 3
    with_heads = loss_of(head_weights=weights)(same, target).item()
    alone = loss_of(head_weights=weights, deep_supervision=False)(same, target).item()
    assert alone == pytest.approx(with_heads, abs=1e-5)
    assert alone == pytest.approx(scale * loss_of()(heads[:1], target).item(), abs=1e-5)


@pytest.mark.parametrize(
    "loss", [name for name in LOSSES if set(LOSSES[name]) - set(MONITORED[:2])]
)
def test_before_its_start_the_topology_term_does_not_act(heads, target, loss):
    late = loss_of(loss, start=0.5)
    plain = loss_of(loss, alpha=0.0)
    assert torch.equal(late(heads, target, 0.49), plain(heads, target))
    assert torch.equal(late(heads, target, 0.5), loss_of(loss)(heads, target))
    assert (late.alpha(0.49), late.alpha(0.5)) == (0, 1)


def test_an_arm_without_topology_term_has_no_alpha():
    assert loss_of("dice_ce").alpha(1.0) == 0


def test_ignored_pixels_have_no_gradient(heads, target):
    target[:, :, :10] = IGNORE
    for loss in LOSSES:
        gradients = torch.autograd.grad(loss_of(loss)(heads, target), heads)
        for gradient in gradients:
            assert (gradient[..., :10] == 0).all()
            assert gradient.isfinite().all()
            assert (gradient != 0).any()


def test_the_mask_control_recalls_the_whole_mask(heads, target):
    control = loss_of("ce_srl", tube_from="mask")
    target[0, :, :3] = IGNORE
    expected = -heads[0].softmax(1)[:, 1][target == 1].mean().item()
    assert control.monitor(heads[:1], target)["srl"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("lower_tubes", ["skeletonize", "max_pool", "none"])
@pytest.mark.parametrize("tube_from", ["skeleton", "mask"])
def test_heads_of_lower_resolution_have_tubes_of_their_own(heads, target, lower_tubes, tube_from):
    small = [heads[0], *(torch.randn(2, 2, n, n, requires_grad=True) for n in (16, 8))]
    arm = loss_of("ce_srl", lower_tubes=lower_tubes, tube_from=tube_from)
    recall = arm.weighted(small, target, {"srl": 1.0})
    gradients = torch.autograd.grad(recall, small)
    seen = [bool((gradient != 0).any()) for gradient in gradients]
    assert seen == [True] + [lower_tubes != "none"] * 2
    if tube_from == "mask" and lower_tubes != "none":
        lower = target[:, 1::2, 1::2]
        assert ((gradients[1] != 0).any(1) == (lower > 0)).all()


@pytest.mark.parametrize("recall", ["log", "cross_entropy", "tversky"])
def test_the_recall_variants_differ(heads, target, recall):
    linear, other = loss_of("ce_srl"), loss_of("ce_srl", recall=recall)
    assert other(heads, target).item() != pytest.approx(linear(heads, target).item(), abs=1e-3)


def test_skeletons_per_class_differ_from_those_of_the_union(target):
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    distance = torch.hypot(y - 15.5, x - 15.5)
    nested = ((distance < 14).long() + (distance < 9).long()).expand(2, -1, -1)
    logits = [torch.randn(2, 3, 32, 32)]
    union, own = (
        loss_of("ce_srl", per_class=flag).monitor(logits, nested) for flag in (False, True)
    )
    assert union["srl"] != own["srl"]


def test_the_tube_of_heads_at_full_size_is_made_once(heads, target, monkeypatch):
    from tubeskel.losses import deep_supervision, dice_ce_srl

    made = []

    def counted(original):
        def make(*arguments, **options):
            made.append(1)
            return original(*arguments, **options)

        return make

    for module, name in ((deep_supervision, "_tube"), (dice_ce_srl, "make_tube")):
        monkeypatch.setattr(module, name, counted(getattr(module, name)))
    loss_of("dice_ce_srl")(heads, target)
    assert len(made) == 1
    loss_of("dice_ce")(heads, target)
    loss_of("dice_ce_srl", start=0.5)(heads, target, 0.1)
    assert len(made) == 1


def test_an_empty_target_gives_finite_terms(heads):
    empty = torch.zeros(2, 32, 32, dtype=torch.uint8)
    loss_of("dice_ce_srl")(heads, empty).backward()
    assert loss_of().monitor(heads, empty)["srl"] == 0
    assert all(torch.isfinite(head.grad).all() for head in heads)
