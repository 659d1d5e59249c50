"""Every way to lay a model out over ranks trains as one process does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from gigafactory.run.trainer.data import Dataset
from gigafactory.run.trainer.load import load_weights
from tests.made_training import DENSE, SEQ_LEN, SPARSE, plan, prepared_text, run_folder, torchrun

if TYPE_CHECKING:
    from gigafactory.run.record import RunFolder
    from gigafactory.spec.model import Model

WORKER = str(Path(__file__).with_name("train_layouts.py"))
# fp32 sums in another order; over three steps of AdamW at a rate of 0.01 this grows tenfold.
TOLERANCE = 5e-5
pytestmark = pytest.mark.drill

MODELS = {"dense": DENSE, "sparse": SPARSE}

TWO: dict[str, dict[str, Any]] = {
    "dense ddp": {"data_parallel": 2},
    "dense zero1": {"data_parallel": 2, "sharding": "zero1"},
    "dense zero2": {"data_parallel": 2, "sharding": "zero2", "recompute": "full"},
    "dense zero3": {"data_parallel": 2, "sharding": "zero3", "recompute": "selective"},
    "dense tensor": {"tensor_parallel": 2},
    "dense sequence": {"tensor_parallel": 2, "sequence_parallel": True, "recompute": "full"},
    "dense 1f1b": {"pipeline_parallel": 2},
    "dense interleaved": {
        "pipeline_parallel": 2, "virtual_pipeline": 2, "schedule": "interleaved",
        "recompute": "selective",
    },
    "sparse ddp": {"data_parallel": 2},
    "sparse experts": {"data_parallel": 2, "expert_parallel": 2, "recompute": "full"},
    "sparse sharded experts": {"data_parallel": 2, "expert_parallel": 2, "sharding": "zero3"},
    "sparse tensor": {"tensor_parallel": 2},
    "sparse cut experts": {
        "tensor_parallel": 2, "sequence_parallel": True, "expert_tensor_parallel": 2,
    },
    "sparse experts over tensor ranks": {
        "tensor_parallel": 2, "sequence_parallel": True, "expert_parallel": 2,
    },
    "sparse 1f1b": {"pipeline_parallel": 2, "micro_batch_size": 2},
}  # fmt: skip
FOUR: dict[str, dict[str, Any]] = {
    "dense hsdp": {"data_parallel": 4, "data_shard": 2, "sharding": "hsdp"},
    "dense tensor zero3": {
        "tensor_parallel": 2, "sequence_parallel": True, "data_parallel": 2, "sharding": "zero3",
        "micro_batch_size": 2,
    },
    "dense pipeline zero1": {"pipeline_parallel": 2, "data_parallel": 2, "sharding": "zero1"},
    "dense pipeline tensor": {"pipeline_parallel": 2, "tensor_parallel": 2},
    "sparse experts tensor": {
        "tensor_parallel": 2, "data_parallel": 2, "expert_parallel": 4, "sharding": "zero1",
        "sequence_parallel": True, "micro_batch_size": 2,
    },
    "sparse experts replicated": {
        "data_parallel": 4, "expert_parallel": 2, "sharding": "zero2",
    },
    "sparse cut experts apart": {
        "tensor_parallel": 2, "data_parallel": 2, "expert_parallel": 2,
        "expert_tensor_parallel": 2, "sharding": "zero3", "micro_batch_size": 2,
    },
    "sparse pipeline experts": {
        "pipeline_parallel": 2, "data_parallel": 2, "expert_parallel": 2,
    },
}  # fmt: skip


def model_of(name: str) -> Model:
    return MODELS[name.split()[0]]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared_text(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, text: Path) -> dict[str, RunFolder]:
    """Every layout, trained; those of as many ranks by the same processes."""
    root = tmp_path_factory.mktemp("runs")
    folders: dict[str, RunFolder] = {}
    alone = {f"{name} {micro}": {"micro_batch_size": micro} for name in MODELS for micro in (1, 2)}
    for ranks, layouts in ((1, alone), (2, TWO), (4, FOUR)):
        paths = []
        for name, layout in layouts.items():
            path = root / name.replace(" ", "-")
            folders[name] = run_folder(path, plan(model_of(name), steps=3, **layout), text)
            paths.append(str(path))
        torchrun(ranks, WORKER, *paths)
    return folders


def alone(trained: dict[str, RunFolder], name: str) -> RunFolder:
    """The same model in one process, on microbatches of the same size."""
    micro = trained[name].plan().layout.micro_batch_size
    return trained[f"{name.split()[0]} {micro}"]


@pytest.mark.parametrize("name", [*TWO, *FOUR])
def test_losses_and_gradients_are_those_of_one_process(
    trained: dict[str, RunFolder], name: str
) -> None:
    expected, got = alone(trained, name).steps(), trained[name].steps()
    assert [s.step for s in got] == [1, 2, 3]
    assert [s.loss for s in got] == pytest.approx([s.loss for s in expected], rel=TOLERANCE)
    norms = [s.gradient_norm for s in expected]
    assert [s.gradient_norm for s in got] == pytest.approx(norms, rel=100 * TOLERANCE)


@pytest.mark.parametrize("name", [*TWO, *FOUR])
def test_one_process_loads_what_any_layout_saved(trained: dict[str, RunFolder], name: str) -> None:
    folder = trained[name]
    model = load_weights(folder.path, model_of(name))
    data = Dataset.open(folder.path / "data", seq_len=SEQ_LEN, seed=0, verify=False)
    rows = torch.from_numpy(data.evaluation(0, 4 * folder.plan().layout.micro_batch_size))
    with torch.no_grad():
        loss = F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
    told = [e.values["loss"] for e in folder.events() if e.kind == "evaluate"]
    assert float(loss) == pytest.approx(told[-1], rel=TOLERANCE)
