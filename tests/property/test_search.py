"""Any layout that a search returns is priced by it as `predict` prices it."""

from __future__ import annotations

import numpy as np
import pytest

from gigafactory.catalog import loader, machines
from gigafactory.plan.cases import Case
from gigafactory.plan.predict import predict_all
from gigafactory.plan.search import search
from gigafactory.plan.space import Question

QUESTIONS = [
    ("llama-3.1-70b", "llama3-16k", "megatron-core", 2048, "bf16"),
    ("grok-1", "gigafactory", "megatron-core", 2048, "fp8"),
    ("llama-3.1-8b", "selene", "pytorch-fsdp1", 960, "bf16"),
    ("deepseek-v3", "gigafactory", "megatron-core", 3840, "bf16"),
]


@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda asked: asked[0])
def test_a_thousand_found_layouts_cost_what_predict_says(
    asked: tuple[str, str, str, int, str],
) -> None:
    name, place, software, batch, precision = asked
    cluster, model = loader.cluster(place), loader.model(name)
    machine = machines.machine(cluster, software)
    found = search(
        Question(
            model=model,
            machine=machine,
            seq_len=8192,
            global_batch_size=batch,
            num_gpus=cluster.num_gpus,
            precision=precision,
        )
    )
    assert len(found.rows) >= 1000
    some = np.random.default_rng(0).choice(len(found.rows), 1000, replace=False)
    cases = [Case(model, found.layout(found.rows[row])) for row in some]
    predicted = predict_all(cases, machine)
    seconds = np.array([x.step_time_s.expected for x in predicted])
    memory = np.array([max(x.memory_per_stage_bytes) for x in predicted])
    np.testing.assert_allclose(seconds, found.step_time_s[some], rtol=1e-9)
    np.testing.assert_allclose(memory, found.memory_bytes[some], rtol=1e-9)
    assert all(x.fits for x in predicted)
