"""A run's newest checkpoint in one process, whatever layout trained it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch

from gigafactory.errors import SpecError
from gigafactory.run.record import CHECKPOINTS, RunFolder
from gigafactory.run.trainer import restore
from gigafactory.run.trainer.data import read_tokenizer
from gigafactory.run.trainer.model import Transformer, parameter_name

if TYPE_CHECKING:
    from pathlib import Path

    from gigafactory.run.trainer.tokenizer import Tokenizer
    from gigafactory.spec.model import Model


def load_weights(run: Path, model: Model) -> Transformer:
    """Return the model of the newest whole checkpoint of a run.

    Raises:
        SpecError: The run has none.
    """
    found = restore.newest(run / CHECKPOINTS, lambda *_: None)
    if found is None:
        raise SpecError(f"{run / CHECKPOINTS}: must hold a whole checkpoint", field="run")
    with torch.device("meta"):
        transformer = Transformer(model)
    transformer.to_empty(device="cpu")
    transformer.tie()
    named = transformer.named_parameters()
    state = {f"model.{parameter_name(model, name)}": p.detach() for name, p in named}
    with warnings.catch_warnings():
        # It says that no process group is up, which is meant.
        warnings.filterwarnings("ignore", message="torch.distributed is")
        restore.load(found, state)
    return transformer.eval()


def load_model(run: Path) -> tuple[Transformer, Tokenizer]:
    """Return the model of a run's newest whole checkpoint, and the tokenizer of its data.

    Raises:
        SpecError: The run has no such checkpoint, or its data is gone.
    """
    return load_weights(run, RunFolder(run).plan().model), read_tokenizer(run / "data")
