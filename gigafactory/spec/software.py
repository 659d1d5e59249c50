"""Which training software runs the step: what it has, and the few numbers fitted for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from gigafactory.spec.base import Spec, require_one_of, require_positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Features(Spec):
    """What a release of a training engine has. True and false, sizes: facts, not fits.

    Attributes:
        attention: "unfused" writes the score matrix; the others are flash generations.
        fused_norms: RMS or layer norm, dropout and residual in fused kernels.
        selective: What selective recomputation computes again: "attention" (the attention core),
            "elementwise" (norms and activations) or "matmuls" (those and every other product).
        early_stop: Full recomputation of a layer ends with the last value that a gradient needs,
            before its last product.
        dropout: Trains with dropout (its masks are kept for the backward pass).
        fully_sharded: FSDP: weights gathered layer by layer, in place of ZeRO-1.
        shard_gradients: Gradients are sharded too (ZeRO-2), weights are kept after forward.
        sharded_rails: Fully sharded weights travel on all network cards of a node at once; else in
            one ring, which crosses one card of each node.
        prefetch: Fully sharded weights of the next layer are gathered under the one at work.
        overlap_data: Gradient reduction runs under the backward pass.
        overlap_parameters: The parameter gather runs under the next forward pass.
        overlap_tensor: Tensor-parallel transfers run under the GEMMs beside them.
        quantised_weights: At 8 bits or fewer, weights are quantised before they are gathered.
        quantised_gather: With sequence parallelism and 8 bits or fewer, activations are quantised
            before they are gathered.
        one_copy_per_domain: A token that several experts of one scale-up domain want is sent
            there once.
        fused_experts: Experts' products, activation and quantisation run in fused kernels where
            the accelerator has them.
        async_tensor_backward: The input-gradient all-reduce runs under the weight gradient.
        gradient_bytes: Bytes per gradient element on the wire.
        accumulation_bytes: Bytes moved per parameter and microbatch, by precision, where gradients
            are added up in a pass of their own; where none is named the weight-gradient matmul
            adds to them.
        gradient_state_bytes: Bytes per parameter that gradients take between microbatches, by
            precision; where none is named, what they take on the wire.
        optimizer_state_bytes: Bytes per parameter of the fp32 master weight and both moments, by
            precision; 12 where none is named. Masters kept as the 16 bits that a bf16 weight
            lacks make it 10.
        casts_shards: Fully sharded weights are kept in fp32 alone, and cast as they are gathered.
        gathered_parameters: Most parameters of fully sharded layers that are gathered at once;
            0 for two layers, the one at work and the next.
        logit_bytes: Bytes per logit alive at once in the loss.
        quantised_saves: At 8 bits or fewer, the inputs of matmuls are kept quantised for the
            backward pass.
        keeps_expert_outputs: Experts' outputs are kept, to be weighted after the second product.
        eager: Every addition and multiplication is a pass over memory of its own, and activation
            functions keep their output beside their product with the gate.
        host_computes: The host is the accelerator: the time of launching adds to the kernels'.
        reduces_whole: Gradients that are not sharded travel in all-reduces (DDP); else they are
            scattered and gathered.
    """

    attention: str = "flash2"
    fused_norms: bool = True
    selective: str = "attention"
    early_stop: bool = False
    dropout: bool = False
    fully_sharded: bool = False
    shard_gradients: bool = False
    sharded_rails: bool = True
    prefetch: bool = True
    overlap_data: bool = True
    overlap_parameters: bool = True
    overlap_tensor: bool = False
    quantised_weights: bool = True
    quantised_gather: bool = False
    one_copy_per_domain: bool = False
    fused_experts: bool = False
    async_tensor_backward: bool = True
    gradient_bytes: float = 4.0
    accumulation_bytes: dict[str, float] = field(default_factory=dict, hash=False)
    gradient_state_bytes: dict[str, float] = field(default_factory=dict, hash=False)
    optimizer_state_bytes: dict[str, float] = field(default_factory=dict, hash=False)
    casts_shards: bool = False
    gathered_parameters: float = 0.0
    logit_bytes: float = 6.0
    quantised_saves: bool = False
    keeps_expert_outputs: bool = True
    eager: bool = False
    host_computes: bool = False
    reduces_whole: bool = False

    def __post_init__(self) -> None:
        require_one_of(self, "attention", ("unfused", "triton", "flash2", "flash3"))
        require_one_of(self, "selective", ("attention", "elementwise", "matmuls"))
        require_positive(self, "gradient_bytes", "logit_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Software(Spec):
    """One software profile of the catalog, at one release.

    Attributes:
        family: Profiles of a family share fitted factors where a profile has too few runs.
        features: What this release has.
        factors: Fitted numbers by name; `catalog/data/calibration/step.toml` holds them.
    """

    name: str
    title: str
    family: str
    features: Features
    factors: dict[str, float] = field(default_factory=dict, hash=False)
    note: str = ""
    source: dict[str, str] = field(default_factory=dict, hash=False)
