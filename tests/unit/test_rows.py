"""Cells of a table of runs: defaults, and every fault of a row at once."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gigafactory.catalog import loader
from gigafactory.errors import SpecError
from gigafactory.plan.rows import Row, parse_row, profile_name
from gigafactory.spec.layout import Layout

if TYPE_CHECKING:
    from gigafactory.spec.model import Model

CELLS = {
    "layers": "4", "hidden": "512", "ffn_hidden": "2048", "mlp": "gated", "heads": "8",
    "vocab": "1000", "seq_len": "1024", "global_batch_seqs": "8", "micro_batch": "1",
    "gpu": "h100", "n_gpus": "8", "tp": "1", "pp": "1", "dp": "8", "software": "megatron-core",
}  # fmt: skip
EXPERTS = {"experts": "8", "topk": "2"}


def unknown(name: str) -> Model | None:
    del name
    return None


def parsed(**cells: str) -> Row:
    return parse_row(CELLS | cells, unknown)


def layout(**cells: str) -> Layout:
    return parsed(**cells).cases[0].layout


def fault(**cells: str) -> str:
    with pytest.raises(SpecError) as caught:
        parsed(**cells)
    return str(caught.value)


def test_a_row_of_required_cells_takes_documented_defaults() -> None:
    row = parsed()
    assert len(row.cases) == 1
    case, machine = row.cases[0], row.machine
    assert case.capacity_factor is None
    assert case.model.num_kv_heads == 8
    assert case.model.head_dim == 64
    assert case.model.experts is None
    assert case.layout == Layout(data_parallel=8, global_batch_size=8, seq_len=1024)
    assert machine.gpus_per_node == 8
    assert machine.network_gbps is None
    assert machine.features == frozenset()


@pytest.mark.parametrize(
    ("software", "sharding"),
    [("megatron-core", "zero1"), ("pytorch-fsdp1", "zero3"), ("torchtitan", "zero3"),
     ("maxtext", "zero3"), ("megatron-deepspeed", "zero1")],
)  # fmt: skip
def test_an_empty_sharding_is_the_softwares_own(software: str, sharding: str) -> None:
    assert layout(software=software, sharding="").sharding == sharding


def test_tensor_parallel_rows_run_sequence_parallel_unless_they_say_no() -> None:
    assert layout(tp="2", dp="4").sequence_parallel
    assert not layout(tp="2", dp="4", sp="0").sequence_parallel
    # Megatron-LM gained it in 2022, Megatron-DeepSpeed's fork is of before.
    assert not layout(tp="2", dp="4", software="megatron-deepspeed").sequence_parallel


def test_text_is_read_whatever_its_case_and_margins() -> None:
    assert layout(sharding=" ZeRO2 ", precision="FP8").sharding == "zero2"


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert layout(micro_batch="1.0").micro_batch_size == 1


def test_a_virtual_pipeline_without_a_pipeline_means_nothing() -> None:
    assert layout(vpp="4").virtual_pipeline == 1


def test_an_unpublished_virtual_pipeline_means_every_one_that_can_be() -> None:
    cases = parsed(layers="8", pp="2", dp="4").cases
    assert [case.layout.virtual_pipeline for case in cases] == [1, 2, 4]
    told = parsed(layers="8", pp="2", dp="4", vpp="2").cases
    assert [case.layout.schedule for case in told] == ["interleaved"]


def test_a_virtual_pipeline_needs_whole_rounds_of_microbatches() -> None:
    cases = parsed(layers="8", pp="2", dp="4", global_batch_seqs="12").cases
    assert [case.layout.virtual_pipeline for case in cases] == [1]


def test_features_tell_the_capacity_and_the_split_of_experts() -> None:
    row = parsed(**EXPERTS, tp="2", dp="4", features="moe-capacity-1.0;expert-tp=2")
    assert row.cases[0].capacity_factor == 1.0
    assert row.cases[0].layout.expert_tensor_parallel == 2
    assert row.machine.features == {"moe-capacity-1.0", "expert-tp=2"}


@pytest.mark.parametrize(("ranks", "degree"), [("8", 4), ("2", 1)])
def test_experts_are_split_like_everything_else_where_ranks_are_left(
    ranks: str, degree: int
) -> None:
    gpus = str(4 * int(ranks))
    found = layout(**EXPERTS, tp="4", dp=ranks, ep="8", n_gpus=gpus, global_batch_seqs="8")
    assert found.expert_tensor_parallel == degree


def test_zero_3_under_an_old_megatron_is_deepspeeds() -> None:
    assert profile_name("megatron-lm", "2021", "zero3") == "megatron-deepspeed"
    assert profile_name("megatron-lm", "2024", "zero3") == "megatron-core"


def test_a_release_that_sends_one_copy_says_so() -> None:
    def features(version: str) -> frozenset[str]:
        return parsed(software="megatron-core", software_version=version).machine.features

    assert features("26.02") - features("25.09") == {"one-copy-exchange"}
    assert features("26.06") - features("26.02") == {"fused-experts"}


@pytest.mark.parametrize(
    ("software", "version", "profile"),
    [
        ("megatron-lm", "2021", "megatron-2021"),
        ("megatron-lm", "2022", "megatron-lm"),
        ("megatron-lm", "2023", "megatron-core"),
        ("megatron-lm", "2024", "megatron-core"),
        ("megatron-lm", "", "megatron-lm"),
        ("torchtitan", "2021", "torchtitan"),
    ],
)
def test_megatron_lm_is_told_apart_by_its_year(software: str, version: str, profile: str) -> None:
    assert profile_name(software, version) == profile


def test_all_unknown_words_of_a_row_are_named_at_once() -> None:
    message = fault(mlp="q", sp="2", sharding="z", recompute="r", precision="int8")
    for name in ("mlp", "sp", "sharding", "recompute", "precision"):
        assert f"{name} must be one of " in message
    assert "got 'int8'" in message


def test_all_bad_counts_of_a_row_are_named_at_once() -> None:
    message = fault(layers="x", vocab="-1", micro_batch="1.5", dp="nan", gpus_per_node="0", tp="")
    for name, value in (
        ("layers", "x"), ("vocab", "-1"), ("micro_batch", "1.5"), ("dp", "nan"),
        ("gpus_per_node", "0"), ("tp", ""),
    ):  # fmt: skip
        assert re.search(rf"\b{name} must be a whole number from 1 [^;]*, got '{value}'", message)


@pytest.mark.parametrize("value", ["inf", "1e300", "10000000000", "0x10", "\uff11" * 50, "eight"])
def test_absurd_counts_are_refused(value: str) -> None:
    assert "hidden must be a whole number" in fault(hidden=value)


def test_a_long_cell_is_cut_in_the_message() -> None:
    assert len(fault(precision="z" * 10_000)) < 200


def test_degrees_that_are_not_the_number_of_gpus_are_named() -> None:
    message = fault(n_gpus="16")
    assert "n_gpus must be dp 8 x tp 1 x pp 1 x cp 1 = 8, got 16" in message


def test_a_layout_fault_comes_with_the_faults_of_other_cells() -> None:
    message = fault(global_batch_seqs="7", mlp="q")
    assert "mlp must be one of" in message
    assert "global_batch_size 7 must be a multiple of" in message


def test_a_model_fault_comes_with_the_faults_of_other_model_cells() -> None:
    message = fault(kv_heads="3", mlp="q")
    assert "mlp must be one of" in message
    assert "num_kv_heads must divide num_heads 8, got 3" in message


def test_experts_need_to_know_how_many_a_token_visits() -> None:
    assert "topk must be a whole number" in fault(experts="8")


def test_what_columns_cannot_say_is_taken_from_the_catalog() -> None:
    entry = loader.model("deepseek-v3")
    assert entry.experts is not None
    cells = {
        "model": "DeepSeek-V3", "layers": "4", "hidden": str(entry.hidden_size),
        "ffn_hidden": str(entry.experts.ffn_hidden_size), "heads": str(entry.num_heads),
        "experts": "256", "topk": "8",
    }  # fmt: skip
    model = parse_row(CELLS | cells, lambda _: entry).cases[0].model
    assert model.num_layers == 4
    assert model.latent_attention == entry.latent_attention
    assert model.ffn_hidden_size == entry.ffn_hidden_size
    assert model.experts is not None
    assert model.experts.first_dense_layers == entry.experts.first_dense_layers
    assert model.experts.shared_ffn_hidden_size == entry.experts.shared_ffn_hidden_size


def test_a_catalog_entry_of_another_width_or_kind_says_nothing() -> None:
    entry = loader.model("deepseek-v3")
    wider = parse_row(CELLS | EXPERTS, lambda _: entry).cases[0].model
    assert wider.latent_attention is None
    dense = parse_row(CELLS, lambda _: replace(entry, hidden_size=512)).cases[0].model
    assert dense.latent_attention is None


def test_a_bad_number_of_gpus_is_named_with_the_other_faults() -> None:
    message = fault(n_gpus="abc", tp="y")
    assert "n_gpus must be a whole number" in message
    assert "'abc'" in message
    assert "tp must be a whole number" in message


@pytest.mark.parametrize("name", ["seq_len", "vpp", "heads", "n_gpus"])
def test_every_fault_is_named_once(name: str) -> None:
    assert fault(**{name: "q", "pp": "2", "dp": "4"}).count(f"{name} must be") == 1


def test_a_model_fault_does_not_hide_a_layout_fault() -> None:
    message = fault(kv_heads="3", tp="y")
    assert "num_kv_heads must divide num_heads 8, got 3" in message
    assert "tp must be a whole number" in message


@pytest.mark.parametrize(
    ("name", "value"), [("moe-capacity-", "x"), ("moe-capacity-", "0"), ("expert-tp=", "q")]
)
def test_a_feature_whose_value_makes_no_sense_is_refused(name: str, value: str) -> None:
    message = fault(**EXPERTS, features=name + value)
    assert f"features: {name} must be " in message
    assert f"got '{value}'" in message


def test_a_layout_that_its_model_cannot_be_split_by_is_refused() -> None:
    assert "tensor_parallel 3 must divide num_heads 8" in fault(tp="3", n_gpus="24")


def test_an_unpublished_recomputation_is_any_share_of_a_stages_layers() -> None:
    shares = [case.recomputed for case in parsed(recompute="").recomputing]
    assert shares == [0.25, 0.5, 0.75, 1.0]
    assert len(parsed(layers="80", recompute="").recomputing) == 8
    assert parsed(recompute="none").recomputing == ()


def test_maxtext_recomputes_all_unless_a_row_says_otherwise() -> None:
    row = parsed(software="maxtext")
    assert row.cases[0].layout.recompute == "full"
    assert row.recomputing == ()
    assert layout(software="maxtext", recompute="none").recompute == "none"


@pytest.mark.parametrize(
    ("cells", "features"),
    [
        ({"layers": "70", "pp": "12", "precision": "fp16"}, {"fp32-gradients"}),
        ({"layers": "72", "pp": "12", "precision": "bf16", "software_version": "2022"},
         {"16-bit-gradients"}),
        ({"layers": "72", "pp": "12"}, {"16-bit-gradients"}),
        ({"layers": "72", "pp": "12", "precision": "bf16", "software_version": "2024"}, set()),
        ({"layers": "72", "pp": "12", "precision": "bf16"}, set()),
    ],
)  # fmt: skip
def test_stages_that_count_embedding_and_head_tell_deepspeeds_optimizer(
    cells: dict[str, str], features: set[str]
) -> None:
    row = parsed(software="megatron-deepspeed", n_gpus="12", dp="1", **cells)
    assert row.machine.features == features
