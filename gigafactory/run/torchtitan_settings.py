"""The Python text of everything in a torchtitan configuration beside the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gigafactory.run.placement import placement
from gigafactory.run.torchtitan_model import family

if TYPE_CHECKING:
    from gigafactory.run.handover import Handover
    from gigafactory.spec.layout import Layout

RECOMPUTES: Final = {
    "none": "None", "selective": "SelectiveAC.Config()", "full": "FullAC.Config()",
}  # fmt: skip
GATHERS: Final = {
    "none": "never", "zero1": "never", "zero2": "never", "zero3": "always", "hsdp": "always",
}  # fmt: skip
FEWEST_KEPT: Final = 2  # torchtitan's own floor: one may be on its way to disk


def pipeline_schedule(layout: Layout) -> str | None:
    """Return torchtitan's name of a schedule; None where it has none for these chunks.

    >>> from gigafactory.spec.layout import Layout
    >>> split = Layout(data_parallel=1, global_batch_size=8, seq_len=8, pipeline_parallel=4,
    ...                virtual_pipeline=2)
    >>> pipeline_schedule(split)
    'Interleaved1F1B'
    """
    vpp = layout.virtual_pipeline
    if layout.schedule == "dualpipe":
        return "DualPipeV" if vpp == 2 else None
    if layout.schedule == "zero-bubble":
        return "InterleavedZeroBubble" if vpp > 1 else None
    return "Interleaved1F1B" if vpp > 1 else "1F1B"


def settings_code(order: Handover) -> str:
    """Return the pieces of the pipeline and the function `train`."""
    parts = [
        *([_stages_code(order)] if order.plan.layout.pipeline_parallel > 1 else []),
        _spec_code(order),
        _optimizer_code(order),
        _train_code(order),
    ]
    return "\n\n".join(parts)


def _stages_code(order: Handover) -> str:
    """Return which modules stand in which chunk, in the order a token passes them."""
    pieces = placement(order.plan.model, order.plan.layout)
    rows = [pieces[at : at + 8] for at in range(0, len(pieces), 8)]
    text = "".join(
        "    " + " ".join(f"({row.start}, {row.stop})," for row in some) + "\n" for some in rows
    )
    return f"""\
CHUNKS = [
{text}]  # fmt: skip


def stages() -> list[list[str]]:
    named = [[f"layers.{{layer}}" for layer in range(*chunk)] for chunk in CHUNKS]
    named[0].insert(0, "tok_embeddings")
    named[-1] += ["norm", "lm_head"]
    return named
"""


def _spec_code(order: Handover) -> str:
    kind = family(order.plan.model)
    after = "register_moe_load_balancing_hook" if order.plan.model.experts else "None"
    converters = "".join(f"        {line},\n" for line in _converters(order))
    listed = f"[\n{converters}    ]" if converters else "[]"
    return f"""\
def model_spec() -> ModelSpec:
    whole = model()
    converters: list[Any] = {listed}
    for converter in converters:
        whole = converter.build().convert(whole)
    return ModelSpec(
        name="{kind.name}",
        flavor="{order.plan.model.name}",
        model=whole,
        parallelize_fn={kind.parallelize},
        pipelining_fn=pipeline_llm,
        post_optimizer_build_fn={after},
        state_dict_adapter=None,
    )
"""


def _converters(order: Handover) -> list[str]:
    """Return what quantises the matmuls; router and logits stay as they are."""
    precision, experts = order.plan.layout.precision, order.plan.model.experts
    if precision == "nvfp4":
        return [_converter(order, "NVFP4LinearConverter", 'fqns=["layers"]')]
    if precision != "fp8":
        return []
    if "nvfp4" in order.plan.cluster.accelerator.peak_flops_per_s:  # it scales blocks in hardware
        linear = ("MXFP8LinearConverter", 'fqns=["attention", "feed_forward", "shared_experts"]')
        grouped = ("MXFP8GroupedExpertsConverter", "pad_multiple=128")
    else:
        linear = ("Float8LinearConverter", 'filter_fqns=["lm_head", "router.gate"]')
        grouped = ("Float8GroupedExpertsConverter", "")
    return [_converter(order, *names) for names in ((linear, grouped) if experts else (linear,))]


def _converter(order: Handover, name: str, setting: str) -> str:
    lines = [setting] if setting else []
    lines.append(f"model_compile_enabled={_compiles(order)}")
    told = "".join(f"            {line},\n" for line in lines)
    return f"{name}.Config(\n{told}        )"


def _compiles(order: Handover) -> bool:
    """Return whether layers are compiled: the profile has fused kernels, or the training asks."""
    return order.features.fused_norms or order.training.compile


def _optimizer_code(order: Handover) -> str:
    training = order.training
    pieces = placement(order.plan.model, order.plan.layout)
    decays = f"{training.weight_decay:g}"
    groups = (
        [(".*", decays)] if any(not len(p) for p in pieces) else [("norm", "0.0"), (".*", decays)]
    )
    text = "".join(f'            adamw(r"{pattern}", {decay}),\n' for pattern, decay in groups)
    return f"""\
def adamw(pattern: str, weight_decay: float) -> ParamGroupConfig:
    return ParamGroupConfig(
        pattern=pattern,
        optimizer_name="AdamW",
        optimizer_kwargs={{
            "lr": {training.learning_rate!r},
            "betas": ({training.beta1!r}, {training.beta2!r}),
            "eps": 1e-8,
            "weight_decay": weight_decay,
        }},
    )


def optimizer() -> OptimizersContainer.Config:
    return OptimizersContainer.Config(
        param_groups=[
{text}        ]
    )
"""


def _train_code(order: Handover) -> str:
    training, layout = order.training, order.plan.layout
    hang_s = max(1, round(training.hang_s))
    return f"""\
def train() -> Trainer.Config:
    return Trainer.Config(
        model_spec=model_spec(),
        loss=ChunkedLossWrapper.Config(
            loss_fn=CrossEntropyLoss.Config(global_vocab_size=VOCABULARY)
        ),
        optimizer=optimizer(),
        lr_scheduler=LRSchedulersContainer.Config(
            warmup_steps={order.warm_up_steps},
            decay_type="cosine",
            min_lr_factor={training.final_learning_rate!r},
        ),
        training=TrainingConfig(
{_training_fields(order)}        ),
        parallelism=ParallelismConfig(
{_parallel_fields(order)}        ),
        activation_checkpoint={RECOMPUTES[layout.recompute]},
        compile={_compile_code(order)},
        checkpoint=CheckpointManager.Config(
            enable=True,
            interval={order.checkpoint_steps},
            async_mode="{"async" if order.plan.checkpoint.asynchronous else "disabled"}",
            keep_latest_k={max(FEWEST_KEPT, training.keep_checkpoints)},
            last_save_model_only=False,
        ),
        dataloader=HuggingFaceTextDataLoader.Config(dataset="c4"),
        validator=Validator.Config(
            enable=True,
            freq={order.evaluate_every},
            steps={training.evaluation_batches},
        ),
        metrics=MetricsProcessor.Config(log_freq=1, enable_tensorboard=True),
        comm=CommConfig(train_timeout_seconds={hang_s}),
        debug=DebugConfig(seed={training.seed}),
    )
"""


def _training_fields(order: Handover) -> str:
    """Return batch, steps and precision; a pipeline takes a step's microbatches at once."""
    layout = order.plan.layout
    rounds = layout.num_microbatches if layout.pipeline_parallel > 1 else 1
    parameters = "float32" if layout.precision == "fp32" else "bfloat16"
    return _fields(
        local_batch_size=layout.micro_batch_size * rounds,
        global_batch_size=layout.global_batch_size,
        seq_len=layout.seq_len,
        max_norm=order.training.clip_norm,
        steps=order.steps,
        mixed_precision_param=parameters,
        disable_cuda_graphs=True,
    )


def _parallel_fields(order: Handover) -> str:
    layout = order.plan.layout
    copies, shard = data_degrees(layout)
    told = _fields(
        data_parallel_replicate_degree=copies,
        data_parallel_shard_degree=shard,
        fsdp_reshard_after_forward=GATHERS[layout.sharding],
        tensor_parallel_degree=layout.tensor_parallel,
        enable_sequence_parallel=layout.sequence_parallel,
        context_parallel_degree=layout.context_parallel,
        expert_parallel_degree=layout.expert_parallel,
    )
    if layout.context_parallel > 1:
        told += _fields(context_parallel_load_balancer="ptrr")  # the one for flex attention
    if layout.pipeline_parallel > 1:
        told += _fields(
            pipeline_parallel_degree=layout.pipeline_parallel,
            pipeline_parallel_schedule=pipeline_schedule(layout),
            pipeline_parallel_microbatch_size=layout.micro_batch_size,
        )
        told += "            module_fqns_per_model_part=stages(),\n"
    return told


def data_degrees(layout: Layout) -> tuple[int, int]:
    """Return the copies of the model, and the ranks that share out one copy."""
    shard = layout.data_parallel
    if layout.sharding == "none":
        shard = 1
    elif layout.sharding == "hsdp":
        shard = layout.data_shard or layout.data_parallel
    return layout.data_parallel // shard, shard


def _compile_code(order: Handover) -> str:
    if not _compiles(order):
        return "CompileConfig()"
    overlaps = order.features.overlap_tensor and order.plan.layout.tensor_parallel > 1
    return f"CompileConfig(enable=True, enable_async_tensor_parallel={overlaps})"


def _fields(**values: object) -> str:
    return "".join(f"            {name}={_literal(value)},\n" for name, value in values.items())


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
