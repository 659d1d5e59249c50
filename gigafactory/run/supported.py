"""What the trainer can do of a plan; all else is refused, with the reason, before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gigafactory.errors import SpecError

if TYPE_CHECKING:
    from gigafactory.spec.layout import Layout
    from gigafactory.spec.model import Model
    from gigafactory.spec.plan import Plan


def require_supported(plan: Plan) -> None:
    """Refuse a plan that the trainer cannot run as it stands.

    Raises:
        SpecError: All that it cannot do of it.
    """
    faults = [
        *_model_faults(plan.model),
        *_precision_faults(plan.layout),
        *_tensor_faults(plan),
        *_pipeline_faults(plan),
        *_expert_faults(plan),
        *_other_faults(plan),
    ]
    if faults:
        raise SpecError(f"plan: the trainer cannot run it: {'; '.join(faults)}", field="plan")


def _model_faults(model: Model) -> list[str]:
    faults = []
    if model.latent_attention is not None:
        faults.append("model.latent_attention: multi-head latent attention is not built")
    if model.positions == "alibi":
        faults.append('model.positions "alibi" is not built, "rope" and "learned" are')
    if model.positions == "rope" and model.head_dim % 2:
        faults.append(f"model.head_dim must be even for rotary positions, got {model.head_dim}")
    return faults


def _precision_faults(layout: Layout) -> list[str]:
    if layout.precision in ("fp32", "bf16"):
        return []
    return [f'layout.precision must be "fp32" or "bf16", got "{layout.precision}"']


def _tensor_faults(plan: Plan) -> list[str]:
    layout, model, tp = plan.layout, plan.model, plan.layout.tensor_parallel
    faults = []
    if layout.context_parallel > 1:
        faults.append(
            f"layout.context_parallel must be 1, got {layout.context_parallel}: PyTorch's context "
            "parallelism does not run on CPUs and was not tried on GPUs"
        )
    if tp == 1:
        return faults
    widths = {"num_heads": model.num_heads, "vocab_size": model.vocab_size}
    if model.experts is None or model.num_expert_layers < model.num_layers:
        widths["ffn_hidden_size"] = model.ffn_hidden_size
    faults += [
        f"layout.tensor_parallel {tp} must divide model.{name} {width}"
        for name, width in widths.items()
        if width % tp
    ]
    if model.num_kv_heads % tp and tp % model.num_kv_heads:
        faults.append(
            f"layout.tensor_parallel {tp} must divide model.num_kv_heads {model.num_kv_heads}, or "
            "be a multiple of it"
        )
    if layout.sequence_parallel and layout.seq_len % tp:
        faults.append(f"layout.tensor_parallel {tp} must divide seq_len {layout.seq_len}")
    return faults


def _pipeline_faults(plan: Plan) -> list[str]:
    layout = plan.layout
    pp, vpp = layout.pipeline_parallel, layout.virtual_pipeline
    if pp == 1:
        return []
    faults = []
    if layout.schedule not in ("1f1b", "interleaved"):
        faults.append(f"layout.schedule must be 1f1b or interleaved, got {layout.schedule}")
    if pp * vpp > plan.model.num_layers:
        faults.append(f"{pp} x {vpp} pipeline stages need as many layers, the model has "
                      f"{plan.model.num_layers}")  # fmt: skip
    microbatches = layout.num_microbatches
    if vpp == 1 and microbatches < pp:
        faults.append(f"1F1B over {pp} stages needs as many microbatches, got {microbatches}")
    if vpp > 1 and microbatches % max(microbatches // pp, 1):
        rounds = microbatches // pp
        faults.append(f"interleaved 1F1B: {microbatches} microbatches must divide into {rounds}")
    return faults


def _expert_faults(plan: Plan) -> list[str]:
    experts, layout = plan.model.experts, plan.layout
    ep, etp = layout.expert_parallel, layout.expert_tensor_parallel
    if experts is None:
        return ["layout.expert_parallel must be 1 for a model without experts"] if ep > 1 else []
    faults = []
    if experts.num_experts % ep:
        faults.append(f"layout.expert_parallel {ep} must divide the {experts.num_experts} experts")
    if etp not in (1, layout.tensor_parallel):
        faults.append(f"layout.expert_tensor_parallel must be 1 or tensor_parallel, got {etp}")
    faults += [
        f"layout.expert_tensor_parallel {etp} must divide experts.{name}"
        for name in ("ffn_hidden_size", "shared_ffn_hidden_size")
        if getattr(experts, name) % etp
    ]
    if etp == 1 and layout.tensor_parallel > 1 and layout.seq_len % layout.tensor_parallel:
        faults.append("layout.tensor_parallel must divide seq_len where experts are not cut")
    return faults


def _other_faults(plan: Plan) -> list[str]:
    faults = []
    if plan.job.capacity_factor is not None:
        faults.append("job.capacity_factor must be left out: no token is dropped here")
    if plan.model.positions == "learned" and plan.layout.seq_len > plan.model.context_length:
        faults.append(f"layout.seq_len must be at most the {plan.model.context_length} learned "
                      "positions")  # fmt: skip
    return faults
