"""Tables: rows keep their order, faults stay with their row, alone or together is one price."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gigafactory.catalog import loader, machines
from gigafactory.errors import SpecError
from gigafactory.plan.cases import Case
from gigafactory.plan.predict import predict
from gigafactory.plan.rows import MachineKey, Row
from gigafactory.plan.table import Answer, RowPrediction, predict_rows
from gigafactory.spec.layout import Layout

if TYPE_CHECKING:
    from gigafactory.spec.machine import Machine

H100 = MachineKey("h100", 8, 3200.0, "megatron-core", frozenset())
A100 = MachineKey("a100-80gb", 8, 1600.0, "megatron-core", frozenset())


def machine_of(key: MachineKey) -> Machine:
    cluster = machines.cluster_of_row(key.gpu, key.gpus_per_node, key.network_gbps)
    return machines.machine(cluster, key.software, key.features)


def row(
    key: MachineKey = H100, name: str = "llama-3.1-8b", precision: str = "bf16", *degrees: int
) -> Row:
    model = loader.model(name)
    layouts = [
        Layout(
            data_parallel=8,
            tensor_parallel=2,
            pipeline_parallel=2,
            virtual_pipeline=vpp,
            global_batch_size=64,
            seq_len=4096,
            precision=precision,  # type: ignore[arg-type]
        )
        for vpp in degrees or (1,)
    ]
    return Row(tuple(Case(model, layout) for layout in layouts), key)


def priced(answer: Answer) -> RowPrediction:
    assert isinstance(answer, RowPrediction), answer
    return answer


def test_an_empty_table_has_no_answers() -> None:
    assert predict_rows([], machine_of) == []


def test_answers_come_in_the_order_of_the_rows() -> None:
    rows = [row(), row(A100), row(H100, "gpt3-175b"), row(A100, "mixtral-8x7b"), row()]
    together = predict_rows(rows, machine_of)
    for one, answer in zip(rows, together, strict=True):
        alone = priced(predict_rows([one], machine_of)[0])
        assert list(priced(answer)) == pytest.approx(list(alone), rel=1e-12)


def test_a_table_and_a_single_prediction_are_one_price() -> None:
    answer = priced(predict_rows([row()], machine_of)[0])
    single = predict(row().cases[0], machine_of(H100))
    assert answer.step_time_s == pytest.approx(single.step_time_s.expected, rel=1e-9)
    assert answer.step_time_low_s == pytest.approx(single.step_time_s.low, rel=1e-9)
    assert answer.step_time_high_s == pytest.approx(single.step_time_s.high, rel=1e-9)
    assert answer.memory_bytes == pytest.approx(single.memory.total_bytes, rel=1e-9)
    assert answer.mfu == pytest.approx(single.mfu, rel=1e-9)
    assert answer.tokens_per_s_per_gpu == pytest.approx(single.tokens_per_s_per_gpu, rel=1e-9)
    assert answer.fits == single.fits


def test_a_bad_row_is_its_own_fault_and_no_one_elses() -> None:
    bad = SpecError("layers must be a whole number")
    answers = predict_rows([row(), bad, row(A100)], machine_of)
    assert answers[1] is bad
    assert priced(answers[0]).step_time_s < priced(answers[2]).step_time_s


def test_an_unknown_gpu_or_software_is_the_fault_of_its_rows() -> None:
    rows = [row(H100._replace(gpu="h10")), row(), row(H100._replace(software="megatronn"))]
    answers = predict_rows(rows, machine_of)
    assert isinstance(answers[0], SpecError)
    assert "h10" in str(answers[0])
    assert isinstance(answers[2], SpecError)
    assert "megatronn" in str(answers[2])
    assert priced(answers[1]).step_time_s > 0


def test_a_precision_the_gpu_lacks_is_the_fault_of_its_row() -> None:
    answers = predict_rows([row(A100, "llama-3.1-8b", "fp8"), row(A100)], machine_of)
    assert isinstance(answers[0], SpecError)
    assert "fp8" in str(answers[0])
    assert priced(answers[1]).step_time_s > 0


def test_of_several_meanings_the_fastest_that_fits_counts() -> None:
    many = priced(predict_rows([row(H100, "llama-3.1-8b", "bf16", 1, 2, 4)], machine_of)[0])
    each = [
        priced(predict_rows([row(H100, "llama-3.1-8b", "bf16", vpp)], machine_of)[0])
        for vpp in (1, 2, 4)
    ]
    assert many.step_time_s == pytest.approx(
        min(one.step_time_s for one in each if one.fits), rel=1e-12
    )


def test_a_row_that_does_not_say_recomputes_the_least_that_fits() -> None:
    layout = Layout(
        data_parallel=64, micro_batch_size=2, global_batch_size=128, seq_len=8192, sharding="zero3"
    )
    plain = Case(loader.model("llama-3.1-70b"), layout)
    shares = [0.25, 0.5, 0.75, 1.0]
    recomputing = tuple(plain._replace(recomputed=share) for share in shares)
    each = [
        priced(predict_rows([Row((case,), H100)], machine_of)[0]) for case in (plain, *recomputing)
    ]
    assert [one.fits for one in each].count(True) >= 1
    assert not each[0].fits
    unsaid = priced(predict_rows([Row((plain,), H100, recomputing)], machine_of)[0])
    assert unsaid == next(one for one in each if one.fits)


def test_a_row_that_fits_recomputes_nothing_it_does_not_say() -> None:
    plain = row()
    unsaid = plain._replace(recomputing=(plain.cases[0]._replace(recomputed=1.0),))
    assert predict_rows([unsaid], machine_of) == predict_rows([plain], machine_of)


def test_a_row_that_does_not_fit_is_priced_all_the_same() -> None:
    answer = priced(predict_rows([row(H100, "gpt3-175b")], machine_of)[0])
    assert not answer.fits
    assert answer.step_time_s > 0
