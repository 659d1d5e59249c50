"""Text that a trained model writes, at the end of its run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from gigafactory.run.trainer.generate import Sampling, generate
from gigafactory.run.trainer.load import load_model

if TYPE_CHECKING:
    from pathlib import Path

    from gigafactory.spec.plan import Plan

BYTES_PER_PARAMETER: Final = 4


def sample(run: Path, plan: Plan, tokens: int, seed: int) -> str:
    """Return text drawn from a run's newest checkpoint, as a document begins.

    Empty where none is asked for, or where the whole model does not fit this machine's free
    memory: training needs a rank's part of it only.
    """
    free_bytes = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if tokens < 1 or plan.model.num_parameters * BYTES_PER_PARAMETER > free_bytes:
        return ""
    transformer, tokenizer = load_model(run)
    asked = Sampling(max_tokens=tokens, seed=seed)
    window = plan.layout.seq_len
    return generate(transformer, tokenizer, "", asked, window=window).text
