"""One layout by hand: what recomputation and precision change on 1,024 H100."""

from dataclasses import replace

from gigafactory.catalog import loader, machines
from gigafactory.plan.cases import Case
from gigafactory.plan.predict import predict
from gigafactory.spec.layout import Layout
from gigafactory.units import show

machine = machines.machine(loader.cluster_of("h100-sxm", 1_024), "megatron-core")
model = loader.model("llama-3.1-70b")
base = Layout(
    tensor_parallel=4,
    sequence_parallel=True,
    pipeline_parallel=4,
    virtual_pipeline=5,
    schedule="interleaved",
    data_parallel=64,
    global_batch_size=2_048,
    seq_len=8_192,
)
for what, layout in {
    "as is": base,
    "full recomputation": replace(base, recompute="full"),
    "fp8": replace(base, precision="fp8"),
}.items():
    told = predict(Case(model, layout), machine)
    print(
        f"{what:20s} {show(told.step_time_s.expected, 's'):>8s}  MFU {told.mfu:4.0%}  "
        f"{max(told.memory_per_stage_bytes) / 1e9:5.1f} GB  bounded by {told.bounded_by}"
    )
