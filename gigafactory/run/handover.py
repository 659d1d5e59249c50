"""What an exporter is handed: a plan, the training it is for, and what follows from the two."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

from gigafactory.catalog import files
from gigafactory.errors import SpecError
from gigafactory.plan.cases import Case, check
from gigafactory.spec.base import Spec, fault, require_count, require_positive
from gigafactory.spec.cluster import LARGEST_NODE
from gigafactory.spec.plan import Plan
from gigafactory.spec.run import Training
from gigafactory.spec.software import Features

if TYPE_CHECKING:
    from collections.abc import Iterable

WARM_UP_SHARE: Final = 0.02  # of the run, where the training names no number of steps
EVALUATIONS: Final = 10  # of a run, where the training names no interval
ROPE_BASE: Final = 10_000.0  # arXiv 2104.09864, section 3.2.2
LINE: Final = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover(Spec):
    """A plan on its way to another engine.

    Attributes:
        training: Learning rates, seed, evaluation: what a plan does not say.
        features: What the plan's software profile has.
        step_time_s: Predicted seconds of a step; turns the checkpoint interval into steps.
        rope_base: Base of the rotary frequencies, which no plan holds.
        gpus_per_node: Accelerators of one host; None for those of the cluster's node.
    """

    plan: Plan
    training: Training
    features: Features
    step_time_s: float
    rope_base: float = ROPE_BASE
    gpus_per_node: int | None = None

    def __post_init__(self) -> None:
        require_positive(self, "step_time_s", "rope_base")
        if self.gpus_per_node is not None:
            require_count(self, "gpus_per_node", most=LARGEST_NODE)
        check(Case(self.plan.model, self.plan.layout))
        gpus, host = self.plan.layout.num_gpus, self.host_gpus
        if gpus % host:
            rule = f"must divide the {gpus} GPUs of the layout: hosts start as many ranks each"
            raise fault(self, "gpus_per_node", host, rule)
        if self.warm_up_steps >= self.steps:
            rule = f"must be below the {self.steps} steps of the run"
            raise fault(self.training, "warmup_steps", self.warm_up_steps, rule)

    @property
    def host_gpus(self) -> int:
        """Ranks that each host starts."""
        offered = self.gpus_per_node or self.plan.cluster.node.num_accelerators
        if offered > LARGEST_NODE:
            rule = f"must be given: node {self.plan.cluster.node.name} is a rack of {offered}"
            raise fault(self, "gpus_per_node", None, rule)
        return min(offered, self.plan.layout.num_gpus)

    @property
    def num_hosts(self) -> int:
        """Hosts of the run."""
        return self.plan.layout.num_gpus // self.host_gpus

    @property
    def steps(self) -> int:
        """Optimizer steps of the run."""
        return ceil(self.plan.job.tokens / self.plan.layout.tokens_per_step)

    @property
    def warm_up_steps(self) -> int:
        """Steps of linear rise of the learning rate."""
        told = self.training.warmup_steps
        return round(WARM_UP_SHARE * self.steps) if told is None else told

    @property
    def evaluate_every(self) -> int:
        """Steps between evaluations."""
        return self.training.evaluate_every or max(1, self.steps // EVALUATIONS)

    @property
    def checkpoint_interval_s(self) -> float:
        """Seconds between checkpoints: the training's, else the plan's."""
        return self.training.checkpoint_interval_s or self.plan.checkpoint.interval_s

    @property
    def checkpoint_steps(self) -> int:
        """Steps between checkpoints, at the predicted speed."""
        return max(1, round(self.checkpoint_interval_s / self.step_time_s))

    @property
    def plan_hash(self) -> str:
        """SHA-256 of the plan as `giga plan -o` writes it."""
        return files.digest(self.plan)


def refuse(target: str, faults: Iterable[str]) -> None:
    """Raise where a target cannot express a plan.

    Raises:
        SpecError: Every reason, in one line.
    """
    told = list(faults)
    if told:
        raise SpecError(f"plan: cannot be exported to {target}: {'; '.join(told)}", field="layout")


def header(order: Handover, target: str, notes: Iterable[str], *, mark: str = "#") -> str:
    """Return the comment at the top of an export: what it is, of which plan, what it leaves out.

    Args:
        order: What is exported.
        target: Engine and release it is written for.
        notes: What the target cannot say, and what the plan does not.
        mark: What begins a comment.
    """
    plan = order.plan
    told = [
        f"{plan.model.name} on {plan.layout.num_gpus:,} GPUs of {plan.cluster.name}, for {target}.",
        f"Written by `giga export` from the plan with SHA-256 {order.plan_hash}.",
        f"A checkpoint every {order.checkpoint_steps:,} steps is one every "
        f"{order.checkpoint_interval_s:,.0f} s at the predicted {order.step_time_s:.4g} s a step.",
        "Not expressible, or not in the plan:",
    ]
    lines = [line for text in told for line in _wrapped(text, "", "  ")]
    lines += [line for note in notes for line in _wrapped(note, "- ", "  ")]
    return "".join(f"{mark} {line}\n" for line in lines)


def common_notes(order: Handover, *, profiles: tuple[str, ...]) -> list[str]:
    """Return the notes that hold for every engine.

    Args:
        order: What is exported.
        profiles: Families of software profiles that describe the target.
    """
    plan, told = order.plan, []
    software = plan.software.partition("@")[0]
    if not software.startswith(profiles):
        told.append(f"The step was predicted for the software profile {plan.software}.")
    if plan.model.positions == "rope":
        told.append(f"Rotary base {order.rope_base:g}: no plan holds one (--rope-base).")
    if plan.model.experts is not None:
        told.append("Router: softmax over the chosen experts; a plan says nothing of it.")
    if order.training == Training():
        told.append("Learning rates, seed, evaluation: defaults of `giga run` (--training FILE).")
    told.append(
        f"spike_policy {order.training.spike_policy}, hang_s and sample_tokens of the training."
    )
    return told


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text,
        LINE,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
