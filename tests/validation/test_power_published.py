"""Power, purchase and goodput against numbers that other people measured or printed."""

import datetime as dt
import tomllib
from importlib.resources import files
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic_core import to_json

from gigafactory.cost.goodput import goodput, mtbf_s
from gigafactory.cost.money import capex
from gigafactory.cost.power import MachinePower, energy_mwh, machine_power, server_power
from gigafactory.cost.storage import STORAGE_BYTES_PER_S_PER_GPU, checkpoint_cost
from gigafactory.spec.faults import FaultProfile
from gigafactory.spec.interval import Interval
from gigafactory.spec.site import PriceBook, Site

DATA = files("gigafactory") / "catalog" / "data"
SECONDS_PER_YEAR = 8_760 * 3_600.0


def entry(cls: Any, kind: str, name: str) -> Any:
    """Return one catalog file as its spec, as strictly as the loader reads it."""
    fields = tomllib.loads((DATA / kind / f"{name}.toml").read_text(encoding="utf-8"))
    assert fields.pop("schema") == 1
    fields.pop("aliases", None)  # other names of the entry, no part of the spec
    return TypeAdapter(cls).validate_json(to_json(fields))


MEMPHIS: Site = entry(Site, "sites", "memphis")
H100: PriceBook = entry(PriceBook, "prices", "h100-sxm")
LLAMA3: FaultProfile = entry(FaultProfile, "faults", "llama3-h100")
FT_HSDP: FaultProfile = entry(FaultProfile, "faults", "ft-hsdp")


def names_of(kind: str) -> list[str]:
    names = [f.name for f in (DATA / kind).iterdir()]
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


@pytest.mark.parametrize(
    ("cls", "kind", "name"),
    [
        (cls, kind, name)
        for cls, kind in ((FaultProfile, "faults"), (Site, "sites"), (PriceBook, "prices"))
        for name in names_of(kind)
    ],
)
def test_every_entry_reads_and_every_number_has_a_source(cls: Any, kind: str, name: str) -> None:
    spec = entry(cls, kind, name)
    assert spec.name == name
    fields = set(type(spec).__dataclass_fields__)
    assert set(spec.source) - {"default"} <= fields
    stated = {name for name in fields if isinstance(getattr(spec, name), (int, float, Interval))}
    assert "default" in spec.source or stated <= set(spec.source)
    assert all(len(text) > 15 for text in spec.source.values())


def colossus() -> MachinePower:
    # DGX H100: 10.2 kW nameplate; 8.48 kW the highest in training (Latif et al. 2025).
    server = server_power(10_200.0 / 8, 8_480.0 / 8)
    return machine_power(server, num_gpus=100_000, gpus_used=100_000, pue=MEMPHIS.pue)


def test_expected_power_of_100k_h100_lies_where_the_reports_do() -> None:
    # Reported: 142.7 MW (Epoch AI model), 150 MW (request), 174-181 MW (Epoch AI, SemiAnalysis).
    assert 140e6 < colossus().facility_w.expected < 175e6


@pytest.mark.parametrize("published_w", [142.7e6, 150e6, 155e6, 174e6, 181e6, 181.5e6])
def test_the_power_interval_covers_every_published_level(published_w: float) -> None:
    facility_w = colossus().facility_w
    assert facility_w.low < published_w < facility_w.high
    assert facility_w.high / facility_w.low < 1.6  # and is no wider than the levels ask for


def test_critical_it_power_matches_the_published_nameplate_chain() -> None:
    # SemiAnalysis: 1,275 W a GPU and about 10 % on top: 140 MW of IT for 100,000 GPUs.
    nameplate = server_power(1_275.0, 1_275.0)
    machine = machine_power(nameplate, num_gpus=100_000, gpus_used=100_000, pue=MEMPHIS.pue)
    assert machine.it_w == pytest.approx(140e6, rel=0.015)


def test_a_year_of_energy_costs_at_most_what_semianalysis_says() -> None:
    # 1.59 TWh and $123.9 M a year at $0.078 for 100,000 H100: the contracted level, all year.
    energy = energy_mwh(colossus().facility_w.high, SECONDS_PER_YEAR)
    assert energy == pytest.approx(1.59e6, rel=0.03)
    assert energy * 78.0 == pytest.approx(123.9e6, rel=0.03)
    assert energy_mwh(colossus().facility_w.expected, SECONDS_PER_YEAR) < 1.59e6


def test_power_swings_by_tens_of_megawatts() -> None:
    # Tens to hundreds of MW (arXiv 2508.14318); 70 MW where the quiet server is taken as 35 %.
    assert 50e6 < colossus().swing_w < 100e6


def test_the_bill_of_colossus_lies_in_the_capex_interval() -> None:
    # Epoch AI: $4.7-5.3 B in all, of it 1.5-1.7 construction.
    server = H100.server_on(dt.date(2024, 9, 2))
    assert server is not None
    bill = capex(
        100_000,
        server_usd_per_gpu=server,
        network_usd_per_gpu=H100.network_usd_per_gpu,
        construction_usd_per_w=MEMPHIS.construction_usd_per_w,
        contracted_w=colossus().facility_w.high,
    )
    assert bill.total_usd.low < 5.0e9 < bill.total_usd.high
    assert 1.5e9 <= bill.construction_usd.expected <= 1.7e9


def test_llama3_goodput_is_above_the_published_ninety_percent() -> None:
    # 16,384 H100, 405e9 parameters: more than 90 % effective training time.
    cost = checkpoint_cost(
        405e9, num_writers=16_384, storage_bytes_per_s=16_384 * STORAGE_BYTES_PER_S_PER_GPU
    )
    estimate = goodput(
        LLAMA3, 16_384, blocking_s=cost.blocking_s, least_interval_s=cost.least_interval_s
    )
    assert 0.90 < estimate.goodput.expected < 0.98


def test_llama3_fails_as_often_as_published() -> None:
    days = 54 * 86_400
    assert days / mtbf_s(LLAMA3, 16_384).expected == pytest.approx(419, rel=0.005)
    assert sum(LLAMA3.causes.values()) == 419
    assert sum(FT_HSDP.causes.values()) == 678


def test_synchronous_training_on_98k_gpus_reaches_the_published_share() -> None:
    # FT-HSDP measured 44 % effective for synchronous training with cold restarts.
    estimate = goodput(FT_HSDP, 98_304, blocking_s=1.0)
    assert estimate.goodput.low < 0.44 < estimate.goodput.high
    assert estimate.goodput.expected == pytest.approx(0.44, abs=0.12)
