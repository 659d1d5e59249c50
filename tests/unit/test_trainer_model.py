"""The model the trainer builds is the one the spec counts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from gigafactory.catalog import loader
from gigafactory.run.trainer import weights
from gigafactory.run.trainer.attention import rotate, rotations
from gigafactory.run.trainer.experts import MixtureOfExperts
from gigafactory.run.trainer.model import Transformer, has_experts
from gigafactory.run.trainer.pipeline import loss_of, parts
from gigafactory.run.trainer.rows import inverse, ordered
from gigafactory.spec.model import Experts, Model
from tests.made_training import DENSE, SPARSE, plan

if TYPE_CHECKING:
    from torch import Tensor

SHAPES = {
    "dense": DENSE,
    "untied": replace(DENSE, tied_embeddings=False),
    "two matrices": replace(DENSE, gated=False),
    "learned positions": replace(DENSE, positions="learned"),
    "wide heads": replace(DENSE, head_dim=16),
    "sparse": SPARSE,
    "sparse, two matrices": replace(SPARSE, gated=False),
    "shared expert, dense first": replace(
        SPARSE,
        experts=Experts(
            num_experts=4, top_k=2, ffn_hidden_size=48, shared_ffn_hidden_size=24,
            first_dense_layers=1, every=2,
        ),
    ),
    "grok-tiny": loader.model("grok-tiny"),
}  # fmt: skip


def built(model: Model, recompute: str = "none") -> Transformer:
    transformer = Transformer(model, recompute=recompute)
    weights.begin(transformer, seed=3)
    return transformer


@pytest.mark.parametrize("name", SHAPES)
def test_it_has_exactly_the_parameters_of_its_spec(name: str) -> None:
    transformer = Transformer(SHAPES[name])
    assert sum(p.numel() for p in transformer.parameters()) == SHAPES[name].num_parameters


def test_a_model_of_catalog_size_has_them_too() -> None:
    model = loader.model("grok-1")
    with torch.device("meta"):
        transformer = Transformer(model)
    assert sum(p.numel() for p in transformer.parameters()) == model.num_parameters


@pytest.mark.parametrize("name", ["dense", "learned positions", "sparse", "grok-tiny"])
def test_no_token_sees_a_later_one(name: str) -> None:
    transformer = built(SHAPES[name])
    tokens = torch.randint(0, 500, (1, 12), generator=torch.Generator().manual_seed(1))
    changed = tokens.clone()
    changed[0, 8:] = 7
    with torch.no_grad():
        before, after = transformer(tokens), transformer(changed)
    torch.testing.assert_close(before[:, :8], after[:, :8])
    assert not torch.allclose(before[:, 8:], after[:, 8:])


def test_rotation_keeps_lengths_and_only_tells_distance() -> None:
    cos, sin = rotations(DENSE, 32, torch.device("cpu"))
    query, key = torch.randn(2, 1, 1, 1, 8).expand(2, 1, 32, 1, 8)
    turned, other = rotate(query, cos, sin), rotate(key, cos, sin)
    torch.testing.assert_close(turned.norm(dim=-1), query.norm(dim=-1))
    near = (turned[0, 5, 0] * other[0, 2, 0]).sum()
    far = (turned[0, 29, 0] * other[0, 26, 0]).sum()
    torch.testing.assert_close(near, far, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", ["full", "selective"])
@pytest.mark.parametrize("name", ["dense", "sparse"])
def test_recomputing_changes_no_gradient(name: str, how: str) -> None:
    tokens = torch.randint(0, 500, (2, 17), generator=torch.Generator().manual_seed(1))
    kept, again = built(SHAPES[name]), built(SHAPES[name], recompute=how)
    for transformer in (kept, again):
        loss_of(transformer(tokens[:, :-1]), tokens[:, 1:]).backward()  # type: ignore[no-untyped-call]
    for one, other in zip(kept.parameters(), again.parameters(), strict=True):
        assert one.grad is not None
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=0)


def slow_experts(layer: MixtureOfExperts, x: Tensor) -> Tensor:
    """Token by token, as the paper writes it."""
    out = torch.zeros_like(x.flatten(0, 1))
    for row, token in enumerate(x.flatten(0, 1)):
        chances = (layer.router.weight @ token).softmax(0)
        for expert in chances.argsort(descending=True)[: layer.top_k]:
            inner = token @ layer.experts.up[expert]
            assert layer.experts.gate is not None
            inner = torch.nn.functional.silu(token @ layer.experts.gate[expert]) * inner
            out[row] += chances[expert] * (inner @ layer.experts.down[expert])
    return out.view_as(x)


def test_experts_are_those_of_the_formula_forwards_and_backwards() -> None:
    layer = MixtureOfExperts(SPARSE)
    layer.balance = 0.0
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    x = torch.randn(2, 9, SPARSE.hidden_size)
    torch.testing.assert_close(layer(x), slow_experts(layer, x), rtol=1e-4, atol=1e-5)
    fast = torch.autograd.grad(layer(x).square().sum(), list(layer.parameters()))
    slow = torch.autograd.grad(slow_experts(layer, x).square().sum(), list(layer.parameters()))
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_the_balancing_term_pulls_rows_away_from_a_crowded_expert() -> None:
    layer = MixtureOfExperts(SPARSE)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    with torch.no_grad():
        layer.router.weight.zero_()
        layer.router.weight[0], layer.router.weight[1] = 0.05, 0.04  # these two are chosen
    x = torch.ones(1, 8, SPARSE.hidden_size)
    layer(x).sum().mul(0.0).backward()
    gradient = layer.router.weight.grad
    assert gradient is not None
    assert gradient[0].sum() > 0 > gradient[2].sum()


def test_ordering_rows_and_back_changes_nothing() -> None:
    x = torch.randn(5, 3, requires_grad=True)
    order = torch.tensor([3, 0, 4, 1, 2])
    back = ordered(ordered(x, order), inverse(order))
    torch.testing.assert_close(back, x)
    (gradient,) = torch.autograd.grad((back * 2).sum(), x)
    torch.testing.assert_close(gradient, torch.full_like(x, 2.0))


def test_layers_with_experts_come_as_often_as_the_spec_counts() -> None:
    model = SHAPES["shared expert, dense first"]
    which = [i for i in range(model.num_layers) if has_experts(model, i)]
    assert which == [2]
    assert len(which) == model.num_expert_layers


@pytest.mark.parametrize(("pipeline", "virtual", "layers"), [(2, 1, 4), (2, 2, 5), (3, 2, 7)])
def test_stages_hold_each_layer_once_and_both_ends(
    pipeline: int, virtual: int, layers: int
) -> None:
    model = replace(DENSE, num_layers=layers)
    made = plan(
        model, pipeline_parallel=pipeline, virtual_pipeline=virtual, cores=8, global_batch_size=12
    )
    held = [part for rank in range(pipeline) for part in parts(model, made.layout, rank)]
    assert sorted(i for part in held for i in part.layers) == list(range(layers))
    assert sum(part.first for part in held) == sum(part.last for part in held) == 1
    sizes = [len(part.layers) for part in held]
    assert max(sizes) - min(sizes) <= 1
