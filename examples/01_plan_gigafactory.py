"""Plan Grok-1 on the Gigafactory of Compute, through the Python API."""

import datetime as dt

from gigafactory.catalog import loader, machines
from gigafactory.plan.answer import answer
from gigafactory.plan.promise import Surroundings
from gigafactory.plan.space import Question
from gigafactory.spec.job import Job
from gigafactory.units import show

cluster = loader.cluster("gigafactory")
batch, seq_len = 24_576, 8_192  # 201 million tokens a step: enough to keep 98,304 GPUs busy
found = answer(
    Question(
        model=loader.model("grok-1"),
        machine=machines.machine(cluster, "megatron-core"),
        seq_len=seq_len,
        global_batch_size=batch,
        num_gpus=cluster.num_gpus,
    ),
    Job(
        tokens=15e12,
        seq_len=seq_len,
        global_batch_size=batch,
        start=cluster.available or dt.date.today(),
    ),
    Surroundings(
        faults=loader.faults("llama3-h100"),
        site=loader.site(cluster.site),
        prices=loader.prices(cluster.accelerator.name),
    ),
)

layout, promise = found.promise.plan.layout, found.promise
print(f"{layout.num_gpus:,} of {cluster.num_gpus:,} GPUs")
print(
    f"tensor {layout.tensor_parallel} x pipeline {layout.pipeline_parallel} "
    f"(x {layout.virtual_pipeline}) x data {layout.data_parallel} "
    f"x context {layout.context_parallel}, expert {layout.expert_parallel}"
)
print(
    f"step {show(promise.prediction.step_time_s.expected, 's')}, MFU {promise.prediction.mfu:.0%}"
)
print(
    f"finish {promise.run.finish[0]} to {promise.run.finish[2]}, expected {promise.run.finish[1]}"
)
if promise.power is not None and promise.cost is not None:
    print(f"{show(promise.power.facility_w.expected, 'W')} at the meter")
    print(f"${promise.cost.usd.expected / 1e6:,.0f} million")
for other in found.alternatives[:2]:
    print(f"slower by {other.step_time_s / promise.prediction.step_time_s.expected - 1:.1%}")
