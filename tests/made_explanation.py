"""An explanation made by hand, of round numbers; its operators sum to the made-up prediction."""

from __future__ import annotations

from gigafactory.catalog import loader, machines
from gigafactory.plan.attribution import OperatorTime
from gigafactory.plan.cases import Case
from gigafactory.report.explained import Explained, Sibling
from gigafactory.spec.prediction import Assumption
from tests.made_answer import LAYOUT, MODEL, PREDICTION

# Exposed and hidden seconds by operator, pass, resource and part.
TIMES = (
    ("mlp up and gate", "forward", "matmul", "compute", 4.0, 0.25, 6e14, 1e15),
    ("mlp up and gate", "weight gradient", "matmul", "compute", 2.5, 0.0, 5e14, 1e15),
    ("tensor exchange", "backward", "link", "tensor_comm", 0.75, 0.75, 3e11, 4.5e11),
    ("norms and residuals", "recomputation", "memory", "memory_bound", 0.5, 0.0, 3e12, 3.35e12),
    ("mlp up and gate", "input gradient", "memory", "compute", 0.495, 0.0, 1e12, 3.35e12),
    ("expert exchange", "forward", "network", "expert_comm", 0.5, 0.0, 2.5e10, 5e10),
    ("fill and drain", "step", "waiting", "pipeline_bubble", 0.5, 0.0, 0.0, 0.0),
    ("gradient reduction", "backward", "network", "data_comm", 0.25, 1.0, 4e10, 5e10),
    ("straggler wait", "step", "waiting", "jitter", 0.25, 0.0, 0.0, 0.0),
    ("pipeline transfers", "forward", "network", "pipeline_comm", 0.125, 0.125, 4e10, 5e10),
    ("optimizer", "step", "memory", "optimizer", 0.0625, 0.0, 3e12, 3.35e12),
    ("kernel launches", "forward", "host", "host", 0.0625, 0.5, 0.0, 0.0),
    ("embedding", "forward", "memory", "compute", 0.004, 0.0, 3e12, 3.35e12),
    ("logits", "forward", "memory", "compute", 0.001, 0.125, 3e11, 3.35e12),
)
OPERATORS = tuple(
    OperatorTime(
        operator=operator, phase=phase, resource=resource, part=part, exposed_s=exposed_s,
        hidden_s=hidden_s, calls=0.0 if resource == "waiting" else 512.0, amount=rate * 2.0,
        amount_per_s=rate, peak_per_s=peak,
    )
    for operator, phase, resource, part, exposed_s, hidden_s, rate, peak in TIMES
)  # fmt: skip
RUN = Explained(
    title="made-moe on 1,024 GPUs of made-cluster",
    case=Case(MODEL, LAYOUT),
    machine=machines.machine(loader.cluster("gigafactory"), "megatron-core"),  # not printed
    prediction=PREDICTION,
    operators=OPERATORS,
    measured_s=8.0,
    reference="a paper, table 1, 2025",
    caveat="the source leaves inputs of this run open",
    assumed=(Assumption(what="virtual_pipeline", value=2.0, source="the fastest that fits"),),
    siblings=(
        Sibling(id="made-2", layout=LAYOUT, measured_s=10.0, predicted_s=9.0),
        Sibling(id="made-3", layout=None, measured_s=12.0, predicted_s=None),
    ),
)
