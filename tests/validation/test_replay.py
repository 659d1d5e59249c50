"""The best layouts of real searches: the closed form that ranked them against their replay."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from gigafactory.catalog import loader, machines
from gigafactory.plan.cases import Case
from gigafactory.plan.search import search
from gigafactory.plan.space import Question
from gigafactory.plan.timeline import replayed_step_s

TOP = 20


@cache
def deviations(model: str, cluster: str, batch: int, seq: int) -> NDArray[np.float64]:
    """Return closed form over replay, less one, of the fastest layouts."""
    machine = machines.machine(loader.cluster(cluster), "megatron-core")
    question = Question(
        model=loader.model(model), machine=machine, seq_len=seq, global_batch_size=batch,
        num_gpus=machine.cluster.num_gpus,
    )  # fmt: skip
    found = search(question)
    return np.array([
        found.step_time_s[row]
        / replayed_step_s(Case(question.model, found.layout(found.rows[row])), machine) - 1
        for row in found.order[:TOP]
    ])  # fmt: skip


@pytest.mark.parametrize(
    "searched",
    [
        ("llama-3.1-405b", "llama3-16k", 2048, 8192),  # 126 layers: both end stages one short
        ("llama-3.1-70b", "llama3-16k", 2048, 8192),
        ("gpt3-175b", "selene", 1536, 2048),
    ],
    ids=lambda searched: searched[0],
)
def test_the_best_layouts_of_a_search_replay_within_one_percent(
    searched: tuple[str, str, int, int],
) -> None:
    assert np.abs(deviations(*searched)).max() <= 0.01
