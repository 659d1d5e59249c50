"""The catalog by name, and what its entries hold."""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gigafactory.catalog import huggingface, loader, read, wiring
from gigafactory.cli.catalog import catalog
from gigafactory.errors import SpecError
from gigafactory.report import catalog as report
from gigafactory.report import clusters

ENTRIES = [(kind, name) for kind in loader.KINDS for name in loader.names(kind)]

PUBLISHED_GPUS = (
    "a100-40gb", "a100-80gb", "h100", "h100-96gb-500w", "h800", "h200", "b200", "b300", "gb200",
    "gb300",
)  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_entry_loads_and_is_called_as_its_file(kind: str, name: str) -> None:
    entry = loader.entry(kind, name)
    key = "accelerator" if kind == "calibration" else "name"
    assert getattr(entry, key) == name
    assert report.summary(entry)


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_entry_prints_as_a_table_and_as_json(kind: str, name: str) -> None:
    assert report.entry_table(kind, name).row_count > 0
    assert json.loads(json.dumps(report.entry_json(kind, name), allow_nan=False))["schema"] == 1


def test_no_alias_means_two_entries() -> None:
    for kind in loader.KINDS:
        taken = list(loader.names(kind))
        for name in loader.names(kind):
            taken += read.toml_table(loader.DATA / kind / f"{name}.toml").get("aliases", [])
        assert len(taken) == len(set(taken))


@pytest.mark.parametrize("name", ["H100-SXM", "h100", " h100_sxm ", "H100 SXM5"])
def test_names_are_found_whatever_their_case_and_by_alias(name: str) -> None:
    assert loader.accelerator(name) is loader.accelerator("h100-sxm")


@pytest.mark.parametrize(
    ("look_up", "name", "nearest"),
    [
        (loader.model, "grok1-", "grok-1"),
        (loader.accelerator, "h10", "h100"),
        (loader.cluster, "gigafactry", "gigafactory"),
        (loader.site, "memfis", "memphis"),
    ],
)
def test_an_unknown_name_is_told_the_nearest(look_up: object, name: str, nearest: str) -> None:
    assert callable(look_up)
    with pytest.raises(SpecError, match=rf"unknown name '{name}', nearest: .*{nearest}"):
        look_up(name)


def test_a_name_of_a_model_hub_is_told_the_nearest_of_the_catalog() -> None:
    with pytest.raises(SpecError, match=r"nearest: .*llama-3\.1-8b"):
        loader.model("meta-llama/Llama-3.1-8B-Base")


def test_a_name_like_no_other_is_told_all_that_are_known() -> None:
    with pytest.raises(SpecError, match="unknown name 'xyzzy', known: memphis, oak-ridge"):
        loader.site("xyzzy")


def test_an_unknown_kind_is_told_all_kinds() -> None:
    with pytest.raises(SpecError, match="unknown kind 'gpus', must be one of models, acc"):
        loader.names("gpus")


def test_accelerators_of_published_runs_are_all_known() -> None:
    for gpu in PUBLISHED_GPUS:
        accelerator = loader.accelerator(gpu)
        assert accelerator.nic_bytes_per_s
        assert accelerator.scale_up_domain in (8, 72)
        assert loader.kernel_fit(gpu).accelerator == accelerator.kernels


def test_no_peak_is_below_what_was_measured_and_none_is_negative() -> None:
    for name in loader.names("accelerators"):
        accelerator = loader.accelerator(name)
        for precision, achieved in accelerator.achieved_matmul_flops_per_s.items():
            assert 0 < achieved < accelerator.peak_flops_per_s[precision]


def test_every_cluster_can_be_wired_and_stands_on_a_known_site() -> None:
    for name in loader.names("clusters"):
        cluster = loader.cluster(name)
        assert cluster.nic_bytes_per_s > 0
        assert cluster.accelerator.scale_up_bytes_per_s
        assert cluster.fabric.tiers[-1].num_gpus >= cluster.num_gpus
        assert loader.site(cluster.site).name == cluster.site
        assert cluster.node.accelerator == cluster.accelerator.name


def test_tiers_of_a_fabric_grow_outwards() -> None:
    for name in loader.names("fabrics"):
        tiers = loader.fabric(name).tiers
        sizes = [tier.num_gpus for tier in tiers]
        assert sizes == sorted(set(sizes))
        assert [tier.hop_latency_s for tier in tiers] == sorted(
            tier.hop_latency_s for tier in tiers
        )


def test_the_gigafactory_stands_as_promised_and_colossus_as_built() -> None:
    promised, built = loader.cluster("gigafactory"), loader.cluster("colossus")
    assert promised.num_gpus == built.num_gpus == 100_000
    assert promised.available == dt.date(2025, 9, 30)
    assert built.available == dt.date(2024, 9, 2)


def test_a_cluster_on_record_only_cannot_be_planned_on() -> None:
    with pytest.raises(SpecError, match="on record only"):
        loader.cluster("colossus-2p")
    assert loader.cluster_record("colossus-2p").num_gpus == 200_000


def test_every_cluster_is_also_a_record() -> None:
    names = {record.name for record in loader.cluster_records()}
    assert names == {*loader.names("clusters"), *loader.names("records")}


@pytest.mark.parametrize(
    ("num_gpus", "tiers"),
    [(8, [256]), (256, [256]), (257, [256, 2048]), (16_384, [256, 2048, 65_536])],
)
def test_a_fat_tree_is_as_deep_as_its_switches_ask_for(num_gpus: int, tiers: list[int]) -> None:
    assert [tier.num_gpus for tier in wiring.fat_tree(num_gpus).tiers] == tiers


@pytest.mark.parametrize("gpu", ["h100", "gb200", "a100-40gb", "h800"])
@pytest.mark.parametrize("num_gpus", [1, 8, 1000, 100_000, 1_000_000])
def test_a_cluster_of_any_size_can_be_asked_for(gpu: str, num_gpus: int) -> None:
    cluster = loader.cluster_of(gpu, num_gpus)
    assert cluster.num_gpus == num_gpus
    assert cluster.available is None
    assert cluster.fabric.tiers[-1].num_gpus >= num_gpus


@pytest.mark.parametrize("num_gpus", [0, -1, 10**12, True, 1.5])
def test_an_absurd_number_of_accelerators_is_refused(num_gpus: int) -> None:
    with pytest.raises(SpecError, match="num_gpus"):
        loader.cluster_of("h100", num_gpus)


def test_accelerators_without_a_published_network_stay_in_their_domain() -> None:
    assert loader.cluster_of("tpu-v4", 4096).scale_up_domain == 4096
    with pytest.raises(SpecError, match="scale-out bandwidth of accelerator tpu-v4 is not pub"):
        loader.cluster_of("tpu-v4", 4097)


def test_the_gigafactory_is_four_times_metas_largest_on_the_day_of_the_promise() -> None:
    largest = clusters.largest_of("Meta", clusters.PROMISED)
    assert largest is not None
    assert largest.num_gpus == 24_576
    assert "2024-05-25, yes: 100,000 GPUs are 4.07 times" in clusters.answer()


def test_the_comparison_follows_the_largest_of_its_day() -> None:
    rows = {row.name: row for row in clusters.rows()}
    assert rows["meta-rsc1"].times_rival == 1
    assert rows["selene"].times_rival is None
    assert rows["oci-b200"].times_rival is None
    assert rows["colossus-1"].times_rival == pytest.approx(100_000 / 24_576)
    assert rows["colossus-1"].peak_bf16_flops_per_s == pytest.approx(100_000 * 989e12)
    assert rows["jupiter"].peak_bf16_flops_per_s is None


def test_the_command_prints_json_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for kind, name in ((None, None), ("model", None), ("model", "grok-1")):
        catalog(kind, name, as_json=True)
        printed = capsys.readouterr().out
        assert printed.count("\n") == 1
        assert json.loads(printed)["schema"] == 1
    catalog("clusters", compare=True, as_json=True)
    assert len(json.loads(capsys.readouterr().out)["clusters"]) == len(loader.cluster_records())


def test_the_command_prints_tables_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    catalog("accelerators", "h100")
    assert "3.35 TB/s" in capsys.readouterr().out
    catalog("clusters", compare=True)
    assert "meta-24k-roce" in capsys.readouterr().out


def test_only_clusters_can_be_compared() -> None:
    with pytest.raises(SpecError, match="--compare lines up clusters"):
        catalog("models", compare=True)


def test_loading_the_catalog_module_does_not_import_pydantic() -> None:
    code = "import sys, gigafactory.catalog.loader, gigafactory.catalog.files; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "tomli_w", "rich", "typer", "numpy"} & set(done.stdout.split())


def test_published_runs_name_accelerators_of_the_catalog() -> None:
    tables = sorted(Path(loader.DATA / "published").glob("*.csv"))
    for table in tables:
        with table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row.get("gpu"):
                    loader.canonical("accelerators", row["gpu"])


def test_the_files_shown_in_the_documentation_load(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "catalog.md"
    shown = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "shown.toml"
    for text, look_up in zip(
        shown, (loader.accelerator, loader.cluster, loader.model), strict=True
    ):
        path.write_text(text)
        assert look_up(str(path))
    path.write_text(shown[0])
    assert loader.cluster_of(str(path), 16).node.name == "8x-my-gpu"


def test_the_documentation_lists_every_model_type_that_is_read() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "catalog.md"
    listed = set(re.findall(r"`([a-z0-9_-]+)`", page.read_text(encoding="utf-8")))
    assert {kind.removesuffix("_text") for kind in huggingface.FAMILIES} <= listed
    assert set(loader.KINDS) <= listed
