"""The lines in which training engines tell a step: one pattern each, facts only.

Origin of the formats: Megatron-LM `training_log` (releases of 2020 to 2026; Megatron-DeepSpeed
tells seconds where Megatron-LM tells milliseconds), torchtitan `MetricsProcessor.log` (`wps` before
0.1, `tps` since), NeMo 1 (Lightning's progress bar) and NeMo 2 (one line a step).
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gigafactory.spec.base import Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MIB: Final = 2.0**20
GIB: Final = 2.0**30
NUMBER: Final = r"([-+.\deEnainf,]+)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point(Spec):
    """One line of a step; a mean over several steps where the engine prints every so many.

    Attributes:
        line: Of its file.
        step_time_s: Seconds of the step; None where the engine tells tokens only.
        tokens_per_s_per_gpu: Tokens per second and accelerator.
        memory_bytes: Peak as the allocator reserved it.
        global_batch_size: Sequences of the step.
        time: When it was printed, seconds since 1970 by the log's own clock.
        first_step: The first step told since the start before it.
    """

    format: str
    line: int
    step: int
    step_time_s: float | None = None
    tokens_per_s_per_gpu: float | None = None
    loss: float | None = None
    memory_bytes: float | None = None
    global_batch_size: int | None = None
    time: float | None = None
    first_step: int = 0

    def seconds(self, tokens_per_step: int, num_gpus: int) -> float:
        """Return the seconds of the step, from the tokens where the line tells no time."""
        if self.step_time_s is not None:
            return self.step_time_s
        return tokens_per_step / (self.tokens_per_s_per_gpu or 0.0) / num_gpus

    @property
    def rate(self) -> float:
        """What the line tells of speed, as a number that must be above 0."""
        told = self.tokens_per_s_per_gpu if self.step_time_s is None else self.step_time_s
        return told or 0.0


MEGATRON: Final = re.compile(
    r"\biteration\s+(\d+)\s*/\s*(?:\d+|infinity)\s*\|"
    r".*?elapsed time per iteration \((ms|s)\):\s*([-\d.]+)"
)
MEGATRON_LOSS: Final = re.compile(rf"\blm loss:?\s*{NUMBER}")
MEGATRON_BATCH: Final = re.compile(r"\bglobal batch size:\s*(\d+)")
MEGATRON_MEMORY: Final = re.compile(
    r"\(after \d+ iterations\) memory \(MB\) \|.*?max reserved:\s*([\d.]+)"
)
# How Megatron-LM prints its arguments at the start, and what a plan calls them.
MEGATRON_ARGUMENT: Final = re.compile(r"\b([a-z_0-9]+) \.{2,} (\S+)\s*$")
ARGUMENTS: Final = (
    "num_layers", "hidden_size", "num_attention_heads", "seq_length", "world_size",
    "tensor_model_parallel_size", "pipeline_model_parallel_size", "micro_batch_size",
    "params_dtype",
)  # fmt: skip
TITAN: Final = re.compile(
    rf"\bstep:\s*(\d+)\s+loss:\s*{NUMBER}.*?\bmemory:\s*([\d.]+)GiB.*?\b(?:tps|wps):\s*([-\d,.]+)"
)
NEMO: Final = re.compile(r"\bglobal_step(?::\s*|=)([\d.]+)")
NEMO_TIME: Final = re.compile(r"\btrain_step_timing in s(?::\s*|=)([-\d.eE+]+)")
NEMO_LOSS: Final = re.compile(rf"\breduced_train_loss(?::\s*|=){NUMBER}")
NEMO_BATCH: Final = re.compile(r"\bglobal_batch_size(?::\s*|=)(\d+)")
STAMP: Final = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:[.,](\d{1,6}))?")
CSV_COLUMNS: Final = ("step", "step_time_s")


def megatron(text: str, line: int) -> Point | None:
    """Return the step of a line of Megatron-LM or Megatron-DeepSpeed."""
    found = MEGATRON.search(text)
    if not found:
        return None
    batch = MEGATRON_BATCH.search(text)
    return Point(
        format="megatron",
        line=line,
        step=int(found[1]),
        step_time_s=float(found[3]) / (1000.0 if found[2] == "ms" else 1.0),
        loss=_number(MEGATRON_LOSS.search(text)),
        global_batch_size=int(batch[1]) if batch else None,
        time=_stamp(text[: found.start()]),
    )


def torchtitan(text: str, line: int) -> Point | None:
    """Return the step of a line of torchtitan; its tokens per second are those of one device."""
    found = TITAN.search(text)
    if not found:
        return None
    return Point(
        format="torchtitan",
        line=line,
        step=int(found[1]),
        tokens_per_s_per_gpu=float(found[4].replace(",", "")),
        loss=_float(found[2]),
        memory_bytes=float(found[3]) * GIB,
        time=_stamp(text[: found.start()]),
    )


def nemo(text: str, line: int) -> Point | None:
    """Return the step of a line of NeMo 1 or 2."""
    step, took = NEMO.search(text), NEMO_TIME.search(text)
    if not step or not took:
        return None
    batch = NEMO_BATCH.search(text)
    return Point(
        format="nemo",
        line=line,
        step=int(float(step[1])),
        step_time_s=float(took[1]),
        loss=_number(NEMO_LOSS.search(text)),
        global_batch_size=int(batch[1]) if batch else None,
        time=_stamp(text[: step.start()]),
    )


FORMATS: Final[dict[str, Callable[[str, int], Point | None]]] = {
    "megatron": megatron,
    "torchtitan": torchtitan,
    "nemo": nemo,
}


def reserved_bytes(text: str) -> float | None:
    """Return the peak that a line of Megatron-LM reports for its rank."""
    found = MEGATRON_MEMORY.search(text)
    return float(found[1]) * MIB if found else None


def argument(text: str) -> tuple[str, str] | None:
    """Return the name and value of an argument that Megatron-LM prints, if it is one to check."""
    found = MEGATRON_ARGUMENT.search(text)
    return (found[1], found[2]) if found and found[1] in ARGUMENTS else None


def csv_point(row: Mapping[str, str], line: int) -> Point:
    """Return the step of a row.

    Raises:
        ValueError: A cell is no number.
    """

    def cell(name: str) -> float | None:
        text = (row.get(name) or "").strip()
        return float(text) if text else None

    batch, time = cell("global_batch_size"), (row.get("time") or "").strip()
    return Point(
        format="csv",
        line=line,
        step=int(row["step"]),
        step_time_s=float(row["step_time_s"]),
        loss=cell("loss"),
        memory_bytes=cell("memory_bytes"),
        global_batch_size=None if batch is None else int(batch),
        time=_stamp(time),
    )


def _stamp(text: str) -> float | None:
    """Return the last time in a text, seconds since 1970 as if it were UTC."""
    found = None
    for found in STAMP.finditer(text):  # noqa: B007 - the last one is wanted
        pass
    if found is None:
        return None
    try:
        when = dt.datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00")
    except ValueError:
        return None
    return when.timestamp() + float(f"0.{found[3] or 0}")


def _number(found: re.Match[str] | None) -> float | None:
    return _float(found[1]) if found else None


def _float(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None
