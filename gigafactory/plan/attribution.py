"""Which operator, in which pass, on which resource: one step as rows that sum to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.cost.attribution import Charge, charges
from gigafactory.plan.cases import Case, check, columns
from gigafactory.plan.machine import rates_of
from gigafactory.spec.base import Spec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gigafactory.cost.columns import Column
    from gigafactory.spec.machine import Machine

RESOURCES: Final = ("matmul", "memory", "link", "network", "host", "waiting")
NOTHING: Final = 1e-9  # of the step; what rounding and machines with free parts leave


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTime(Spec):
    """What one operator in one pass has one resource do in a step, on the mean rank.

    Attributes:
        phase: "forward", "backward", "input gradient", "weight gradient", "recomputation" or
            "step".
        resource: One of `RESOURCES`.
        part: Key of `StepBreakdown` that it counts to.
        exposed_s: Seconds that the step is longer for it.
        hidden_s: Seconds in which the resource is busy with it under other work.
        calls: How often the operator is done in this pass of a step; 0 where it is no operation.
        amount: FLOPs on matmul units, bytes on memory, link and network; 0 where uncounted.
        amount_per_s: `amount` over the seconds that the operator takes on all resources.
        peak_per_s: What the data sheet promises of the resource; 0 where it promises nothing.
    """

    operator: str
    phase: str
    resource: str
    part: str
    exposed_s: float
    hidden_s: float
    calls: float = 0.0
    amount: float = 0.0
    amount_per_s: float = 0.0
    peak_per_s: float = 0.0

    @property
    def of_peak(self) -> float:
        """Achieved rate over the data sheet's; 0 where either is unknown."""
        return self.amount_per_s / self.peak_per_s if self.peak_per_s else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceTime(Spec):
    """How a step keeps one resource busy; `exposed_s` over all resources sums to the step."""

    resource: str
    exposed_s: float
    hidden_s: float

    @property
    def busy_s(self) -> float:
        """Seconds in which the resource works, or is waited for."""
        return self.exposed_s + self.hidden_s


def operator_times(case: Case, machine: Machine) -> tuple[OperatorTime, ...]:
    """Return where the seconds of one step go, largest first; they sum to the step.

    Raises:
        SpecError: The machine cannot run the precision, or the model cannot be split so.
    """
    check(case)
    layout = case.layout
    rates = rates_of(machine, layout.precision, case.model.head_dim, busy=layout.num_gpus)
    found = charges(*columns([case]), rates)
    least = NOTHING * sum(_one(charge.exposed) for charge in found)
    rows = [
        _row(same, _peak_per_s(machine, case.layout.precision, *name[::2]))
        for name, same in _merged(found).items()
    ]
    shown = [row for row in rows if row.exposed_s + row.hidden_s > least or row.exposed_s > 0]
    return tuple(sorted(shown, key=lambda row: (-row.exposed_s, -row.hidden_s)))


def resource_times(rows: Iterable[OperatorTime]) -> tuple[ResourceTime, ...]:
    """Return the seconds of every resource, those of none included."""
    several = list(rows)
    return tuple(
        ResourceTime(
            resource=resource,
            exposed_s=sum(row.exposed_s for row in several if row.resource == resource),
            hidden_s=sum(row.hidden_s for row in several if row.resource == resource),
        )
        for resource in RESOURCES
    )


def _merged(found: Iterable[Charge]) -> dict[tuple[str, str, str, str], list[Charge]]:
    """Return the charges by operator, pass, resource and part."""
    groups: dict[tuple[str, str, str, str], list[Charge]] = {}
    for one in found:
        groups.setdefault((one.operator, one.phase, one.resource, one.part), []).append(one)
    return groups


def _row(same: Sequence[Charge], peak_per_s: float) -> OperatorTime:
    first = same[0]
    whole_s, amount = _total(one.whole for one in same), _total(one.amount for one in same)
    return OperatorTime(
        operator=first.operator,
        phase=first.phase,
        resource=first.resource,
        part=first.part,
        exposed_s=_total(one.exposed for one in same),
        hidden_s=_total(one.hidden for one in same),
        calls=_total(one.calls for one in same),
        amount=amount,
        amount_per_s=amount / whole_s if whole_s > 0 else 0.0,
        peak_per_s=peak_per_s if amount > 0 else 0.0,
    )


def _peak_per_s(machine: Machine, precision: str, operator: str, resource: str) -> float:
    """Return the data sheet's rate; attention and logits are computed in 16 bits."""
    accelerator = machine.cluster.accelerator
    wide = operator in ("attention core", "logits") and "bf16" in accelerator.peak_flops_per_s
    peaks = {
        "matmul": accelerator.peak_flops_per_s["bf16" if wide else precision],
        "memory": accelerator.memory_bytes_per_s,
        "link": accelerator.scale_up_bytes_per_s,
        "network": machine.cluster.nic_bytes_per_s,
    }
    return peaks.get(resource) or 0.0


def _total(several: Iterable[Column]) -> float:
    return sum(_one(column) for column in several)


def _one(column: Column) -> float:
    """Return the only entry of a column."""
    return float(np.ravel(column)[0])
