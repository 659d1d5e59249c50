"""One row of a table of runs, as a case to price and the machine it ran on.

The columns are those of `docs/reference/files.md`. An empty cell takes its engine's documented
default; whatever else is wrong with a row is one `SpecError` that names every fault.
"""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING, Final, NamedTuple

from gigafactory.errors import SpecError
from gigafactory.plan.cases import Case, check
from gigafactory.plan.space import divisors
from gigafactory.spec.hardware import PRECISIONS
from gigafactory.spec.layout import Layout
from gigafactory.spec.model import Experts, Model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REQUIRED: Final = (
    "layers", "hidden", "ffn_hidden", "mlp", "heads", "vocab", "seq_len", "global_batch_seqs",
    "micro_batch", "gpu", "n_gpus", "tp", "pp", "dp", "software",
)  # fmt: skip
ONE_COPY: Final = 25.11  # Megatron-Bridge recipes dispatch tokens by DeepEP or HybridEP since then
# Grouped products, SwiGLU and quantisation in one kernel, on Blackwell in 8 bits.
# Source: NVIDIA-NeMo/Megatron-Bridge issue 2885 (delayed to 26.06, then enabled).
FUSED_EXPERTS: Final = 26.06
MODERN_MEGATRON: Final = 2023.0  # Megatron-LM releases from then on are Megatron-Core
CENTURY: Final = 2000.0
PLAIN_MEGATRON: Final = 2022.0
BEFORE_SEQUENCE_PARALLELISM: Final = ("megatron-2021", "megatron-deepspeed")
LARGEST_COUNT: Final = 10**9
RECOMPUTE_STEPS: Final = 8  # most shares of its layers that a stage may recompute, if unsaid


class MachineKey(NamedTuple):
    """Which machine and software a row ran on."""

    gpu: str
    gpus_per_node: int
    network_gbps: float | None
    software: str
    features: frozenset[str]


class Row(NamedTuple):
    """A row understood.

    Attributes:
        cases: More than one where virtual pipeline is not published: the fastest that fits
            counts.
        recomputing: The same with more and more layers recomputed whole, for when none of the
            cases fits; empty where recomputation is published.
    """

    cases: tuple[Case, ...]
    machine: MachineKey
    recomputing: tuple[Case, ...] = ()


class Cells:
    """The cells of a row, read one by one; faults are gathered, not raised."""

    def __init__(self, row: Mapping[str, str]) -> None:
        self.row = row
        self.faults: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        """Return a cell's text, lower case, or the default where it is empty."""
        return (self.row.get(name) or "").strip().lower() or default

    def count(self, name: str, default: int | None = None, *, least: int = 1) -> int:
        """Return a cell's whole number, or the default where it is empty."""
        text = self.text(name)
        if not text and default is not None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not isfinite(value) or value != int(value) or not least <= value <= LARGEST_COUNT:
            rule = f"must be a whole number from {least} to {LARGEST_COUNT}"
            self.faults.append(f"{name} {rule}, got {text[:40]!r}")
            return max(least, 1)
        return int(value)

    def one_of(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """Return a cell's text, which must be one of `choices`."""
        text = self.text(name, default)
        if text not in choices:
            self.faults.append(f"{name} must be one of {', '.join(choices)}, got {text[:40]!r}")
            return choices[0]
        return text


def parse_row(row: Mapping[str, str], known: Callable[[str], Model | None]) -> Row:
    """Return the case and the machine of a row.

    Args:
        row: Cells by column name.
        known: Returns the catalog's model of a name. What the columns cannot say of a model
            (latent attention, shared experts, leading dense layers) is taken from it.

    Raises:
        SpecError: Names every fault of the row.
    """
    cells = Cells(row)
    features = frozenset(filter(None, cells.text("features").split(";")))
    software = profile_name(cells.text("software"), cells.text("software_version"),
                            cells.text("sharding"))  # fmt: skip
    features |= _of_release(cells, software)
    model, layout = _model(cells), _layout(cells, software, features)
    gbps = cells.text("node_network_gbps")
    key = MachineKey(
        cells.text("gpu"),
        cells.count("gpus_per_node", 8),
        float(cells.count("node_network_gbps")) if gbps else None,
        software,
        features,
    )
    capacity = _feature(cells, features, "moe-capacity-")
    _check_gpus(cells, layout)
    if cells.faults or model is None or layout is None:
        raise SpecError("; ".join(dict.fromkeys(cells.faults)))
    model = _completed(model, known(model.name))
    told = _unpublished(cells)
    cases = tuple(
        Case(model, one, capacity, unpublished=told) for one in _stages(cells, layout, model)
    )
    check(cases[0])
    unsaid = not cells.text("recompute") and layout.recompute == "none"
    return Row(cases, key, _recomputing(cases) if unsaid else ())


def _check_gpus(cells: Cells, layout: Layout | None) -> None:
    """Note a number of GPUs that is not the product of the degrees."""
    gpus = cells.count("n_gpus")
    if layout is not None and not cells.faults and layout.num_gpus != gpus:
        cells.faults.append(
            f"n_gpus must be dp {layout.data_parallel} x tp {layout.tensor_parallel} x pp "
            f"{layout.pipeline_parallel} x cp {layout.context_parallel} = {layout.num_gpus}, "
            f"got {gpus}"
        )


def _of_release(cells: Cells, software: str) -> frozenset[str]:
    """Return the features of the row's release, told by its number or by the layout.

    Megatron-DeepSpeed gained an optimizer that adds gradients up in fp32 and stages that count
    embedding and head as layers at the same time (BigScience, 28 February 2022): layers that fill
    the stages only together with both ran with it, whatever else the row says; earlier releases
    added up in 16 bits.
    """
    release = _number(cells.text("software_version"))
    if software == "megatron-core":
        return release_features(release)
    if software != "megatron-deepspeed":
        return frozenset()
    layers, stages = cells.count("layers"), cells.count("pp")
    if layers % stages and (layers + 2) % stages == 0:
        return frozenset({"fp32-gradients"})
    early = release is not None and int(release) <= PLAIN_MEGATRON
    unsaid = early or not cells.text("precision")
    return frozenset({"16-bit-gradients"} if unsaid else ())


def _unpublished(cells: Cells) -> tuple[str, ...]:
    """Return the cells that decide the time and are empty: defaults take their place."""
    wanted = ("sharding", "recompute", "precision", *(("vpp",) if cells.count("pp") > 1 else ()))
    return tuple(name for name in wanted if not cells.text(name))


def profile_name(software: str, version: str, sharding: str = "") -> str:
    """Return the profile of a release: Megatron-LM changed its attention and overlap by year.

    Before it became Megatron-Core it had no full sharding of its own: ZeRO-3 under it is
    DeepSpeed's.
    """
    year = _number(version)
    if software != "megatron-lm":
        return software
    if sharding == "zero3" and (year is None or year < MODERN_MEGATRON):
        return "megatron-deepspeed"
    if year is None:
        return software
    since = {"megatron-core": MODERN_MEGATRON, "megatron-lm": PLAIN_MEGATRON}
    return next((name for name, first in since.items() if year >= first), "megatron-2021")


def release_features(release: float | None) -> frozenset[str]:
    """Return what a release of Megatron-Core has over the profile.

    >>> sorted(release_features(26.02)), sorted(release_features(2024.0))
    (['one-copy-exchange'], [])
    """
    since = {"one-copy-exchange": ONE_COPY, "fused-experts": FUSED_EXPERTS}
    number = (release or 0.0) % CENTURY  # a year stands for its first release
    return frozenset(name for name, first in since.items() if number >= first)


def _number(text: str) -> float | None:
    """Return the year or release that a version starts with: 24.11.1 is 24.11."""
    try:
        return float(".".join(text.split(".")[:2]))
    except ValueError:
        return None


def _feature(cells: Cells, features: frozenset[str], prefix: str) -> float | None:
    """Return the number behind a feature such as `moe-capacity-1.0`; None without it."""
    told = next((f.removeprefix(prefix) for f in sorted(features) if f.startswith(prefix)), None)
    if told is None:
        return None
    value = _number(told)
    if value is None or not 0 < value < LARGEST_COUNT:
        cells.faults.append(f"features: {prefix} must be followed by a number, got {told[:40]!r}")
        return None
    return value


def _model(cells: Cells) -> Model | None:
    heads, hidden = cells.count("heads"), cells.count("hidden")
    num_experts = cells.count("experts", 0, least=0)
    ffn = cells.count("ffn_hidden")
    try:
        experts = None
        if num_experts:
            experts = Experts(
                num_experts=num_experts, top_k=cells.count("topk"), ffn_hidden_size=ffn
            )
        return Model(
            name=cells.text("model", "row"),
            num_layers=cells.count("layers"),
            hidden_size=hidden,
            ffn_hidden_size=ffn,
            num_heads=heads,
            num_kv_heads=cells.count("kv_heads", heads),
            head_dim=cells.count("head_dim", max(hidden // heads, 1)),
            vocab_size=cells.count("vocab"),
            context_length=cells.count("seq_len"),
            gated=cells.one_of("mlp", "gated", ("gated", "plain")) == "gated",
            experts=experts,
        )
    except SpecError as error:
        cells.faults.append(str(error))
        return None


def _completed(model: Model, entry: Model | None) -> Model:
    """Return the row's model with what its columns cannot say, from the catalog's entry.

    The entry of that name, width and kind also corrects the MLP's kind: some tables list gated
    experts as plain.
    """
    if entry is None or entry.hidden_size != model.hidden_size:
        return model
    if (entry.experts is None) != (model.experts is None):
        return model
    experts = model.experts
    if experts is not None and entry.experts is not None:
        known = entry.experts
        experts = replace(
            experts,
            shared_ffn_hidden_size=known.shared_ffn_hidden_size,
            first_dense_layers=min(known.first_dense_layers, model.num_layers),
            every=known.every,
        )
        model = replace(model, ffn_hidden_size=entry.ffn_hidden_size)
    return replace(
        model,
        experts=experts,
        gated=entry.gated,
        tied_embeddings=entry.tied_embeddings,
        latent_attention=entry.latent_attention,
    )


def _layout(cells: Cells, software: str, features: frozenset[str]) -> Layout | None:
    tp, pp = cells.count("tp"), cells.count("pp")
    sharded = software.startswith(("pytorch", "torchtitan", "maxtext"))
    split = "1" if tp > 1 and software not in BEFORE_SEQUENCE_PARALLELISM else "0"
    values = {
        "data_parallel": cells.count("dp"),
        "tensor_parallel": tp,
        "sequence_parallel": cells.one_of("sp", split, ("0", "1")) == "1",
        "pipeline_parallel": pp,
        # A degree above 1 means nothing without a pipeline: some sources list it all the same.
        "virtual_pipeline": cells.count("vpp", 1) if pp > 1 else 1,
        "data_shard": cells.count("dp_shard") if cells.text("dp_shard") else None,
        "context_parallel": cells.count("cp", 1),
        "expert_parallel": cells.count("ep", 1),
        "expert_tensor_parallel": _expert_tensor(cells, features, tp),
        "micro_batch_size": cells.count("micro_batch"),
        "global_batch_size": cells.count("global_batch_seqs"),
        "seq_len": cells.count("seq_len"),
        "sharding": cells.one_of(
            "sharding", "zero3" if sharded else "zero1", ("none", "zero1", "zero2", "zero3", "hsdp")
        ),
        # MaxText's own default is remat_policy "full".
        "recompute": cells.one_of(
            "recompute", "full" if software == "maxtext" else "none", ("none", "selective", "full")
        ),
        "precision": cells.one_of("precision", "bf16", PRECISIONS),
        "schedule": "interleaved" if cells.count("vpp", 1) > 1 and pp > 1 else "1f1b",
    }
    try:
        return Layout(**values)  # type: ignore[arg-type]
    except SpecError as error:
        cells.faults.append(str(error))
        return None


def _expert_tensor(cells: Cells, features: frozenset[str], tp: int) -> int:
    """Return the split of each expert: as published, else what Megatron-Core does by default."""
    if not cells.text("experts"):
        return 1
    told = _feature(cells, features, "expert-tp=")
    if told is not None:
        return max(int(told), 1)
    # Megatron-Core splits experts like everything else unless told otherwise, and cannot where
    # experts leave no ranks for it.
    ranks = cells.count("dp") * cells.count("cp", 1)
    return tp if ranks % cells.count("ep", 1) == 0 else 1


def _stages(cells: Cells, layout: Layout, model: Model) -> list[Layout]:
    """Return the layouts a row can mean: every virtual pipeline where none is published."""
    pp = layout.pipeline_parallel
    if pp == 1 or cells.text("vpp"):
        return [layout]
    if layout.num_microbatches % pp:
        return [layout]
    return [layout] + [
        replace(layout, virtual_pipeline=vpp, schedule="interleaved")
        for vpp in divisors(-(-model.num_layers // pp))[1:]
    ]


def _recomputing(cases: tuple[Case, ...]) -> tuple[Case, ...]:
    """Return the cases with more and more layers recomputed whole: one by one, or by eighths.

    Megatron-Core recomputes a number of layers per stage (`recompute_num_layers`).
    """
    layers = -(-cases[0].model.num_layers // cases[0].layout.pipeline_parallel)
    steps = min(layers, RECOMPUTE_STEPS)
    shares = [step / steps for step in range(1, steps + 1)]
    return tuple(case._replace(recomputed=share) for share in shares for case in cases)
