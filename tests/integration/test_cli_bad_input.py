"""Mistakes: one line that names each fault, exit 2, the same words as JSON, nothing written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gigafactory.catalog import loader
from tests.integration.test_cli_command import answered, giga, is_one_line, refused

SMALL: Final = ("llama-3.1-8b", "--gpu", "h100-sxm", "--gpus", "8")
ON_CLUSTER: Final = ("llama-3.1-8b", "--tokens", "1e12", "--cluster")
EOS: Final = (loader.DATA / "clusters" / "eos.toml").read_text(encoding="utf-8")
OWN_ACCELERATOR: Final = """
[accelerator]
name = "mine"
title = "Mine"
vendor = "Me"
memory_gb = 80
memory_bytes_per_s = 3.35e12
[accelerator.peak_flops_per_s]
bf16 = 1e15
"""


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def plan_refused(*arguments: str | Path) -> str:
    return refused("plan", *arguments, "-o", "plan.toml")


@pytest.mark.parametrize(
    ("arguments", "fault", "nearest"),
    [
        (("grok-l", "--cluster", "eos", "--tokens", "1"), "'grok-l'", "grok-1"),
        (("grok-1", "--cluster", "gigafactry", "--tokens", "1"), "'gigafactry'", "gigafactory"),
        (("grok-1", "--gpu", "h100-smx", "--gpus", "8", "--tokens", "1"), "'h100-smx'", "h100-sxm"),
        ((*SMALL, "--tokens", "1", "--software", "megatron-cor"), "software", "megatron-core"),
        ((*SMALL, "--tokens", "1", "--site", "memphs"), "site", "memphis"),
        ((*SMALL, "--tokens", "1", "--faults", "llama3-h10"), "fault", "llama3-h100"),
        ((*SMALL, "--tokens", "1", "--precision", "bf61"), "--precision", "bf16"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(
    arguments: tuple[str, ...], fault: str, nearest: str
) -> None:
    line = plan_refused(*arguments)
    assert fault in line
    assert nearest in line.partition(fault)[2]


def test_a_precision_that_the_accelerator_lacks_is_told_with_those_it_has() -> None:
    line = plan_refused("llama-3.1-8b", "--gpu", "a100-sxm-80", "--gpus", "8", "--tokens", "1",
                        "--precision", "fp8")  # fmt: skip
    assert "fp8" in line
    assert "bf16" in line


@pytest.mark.parametrize("tokens", ["0", "-1", "nan", "inf", "1e400", "abc", "", "1e30", "15 e12"])
def test_absurd_tokens_are_told(tokens: str) -> None:
    assert "--tokens" in plan_refused(*SMALL, "--tokens", tokens)


@pytest.mark.parametrize("gpus", ["0", "-5", str(10**12), str(10**40)])
def test_an_absurd_number_of_gpus_is_told(gpus: str) -> None:
    line = plan_refused("grok-1", "--gpu", "h100-sxm", "--gpus", gpus, "--tokens", "1e12")
    assert "--gpus" in line
    assert gpus in line


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--seq-len", "0"),
        ("--seq-len", "-8192"),
        ("--seq-len", str(10**12)),
        ("--global-batch-tokens", "8193"),
        ("--global-batch-tokens", "1"),
        ("--global-batch-tokens", "0"),
        ("--global-batch-tokens", "nan"),
        ("--power-cap", "-20MW"),
        ("--power-cap", "20 cows"),
        ("--budget", "0"),
        ("--budget", "free"),
        ("--by", "2000-01-01"),
        ("--by", "2025-02-30"),
        ("--by", "soon"),
        ("--start", "31.12.2025"),
    ],
)
def test_an_option_out_of_range_is_named(option: str, value: str) -> None:
    line = plan_refused(*SMALL, "--tokens", "1e12", option, value)
    assert option in line
    assert value in line


def test_a_batch_that_does_not_divide_is_told_with_the_nearest_that_does() -> None:
    line = plan_refused(*SMALL, "--tokens", "1e12", "--global-batch-tokens", "1000000")
    assert str(122 * 8192) in line  # 122.07 sequences of 8,192 tokens
    answered("plan", *SMALL, "--tokens", "1e12", "--global-batch-tokens", str(122 * 8192))


def test_an_end_before_the_start_is_told_with_both() -> None:
    line = plan_refused(*SMALL, "--tokens", "1", "--start", "2026-01-02", "--by", "2026-01-01")
    assert "2026-01-02" in line
    assert "2026-01-01" in line


def test_every_option_at_fault_is_named_in_the_one_line() -> None:
    line = plan_refused(
        "grok-l", "--gpu", "h100-smx", "--gpus", "8", "--tokens", "-1", "--seq-len", "0",
        "--global-batch-tokens", "nan", "--power-cap", "x", "--budget", "0", "--start", "x",
        "--by", "y", "--precision", "bf61", "--software", "megatron-cor", "--site", "memphs",
        "--faults", "llama3-h10",
    )  # fmt: skip
    faults = (
        "'grok-l'", "'h100-smx'", "--tokens", "--seq-len", "--global-batch-tokens", "--power-cap",
        "--budget", "--start", "--by", "--precision", "'megatron-cor'", "'memphs'", "'llama3-h10'",
    )  # fmt: skip
    assert [fault for fault in faults if fault not in line] == []


@pytest.mark.parametrize(
    "machine",
    [
        (),
        ("--gpus", "8"),
        ("--gpu", "h100-sxm"),
        ("--cluster", "eos", "--gpus", "8"),
        ("--cluster", "eos", "--gpu", "h100-sxm", "--gpus", "8"),
    ],
)
def test_the_machine_is_told_in_one_way(machine: tuple[str, ...]) -> None:
    line = plan_refused("llama-3.1-8b", "--tokens", "1e12", *machine)
    assert "--gpu" in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (EOS.partition("[source]")[0], ["num_gpus: has no source", "available: has no source"]),
        (EOS.replace("owner =", "ownr ="), ["ownr", "owner: is missing"]),
        (EOS.replace("reported_power_w = 6.7e6", "reported_power_mw = 6.7"), ["reported_power_w"]),
        (
            EOS.replace('accelerator = "h100-sxm"', "") + OWN_ACCELERATOR,
            ["memory_gb", "use memory_bytes", "memory_bytes: is missing"],
        ),
        (EOS.replace("4608", "-4608"), ["num_gpus", "-4608"]),
        (EOS.replace("4608", "nan"), ["num_gpus", "nan"]),
        (EOS.replace('"h100-sxm"', '"h100-smx"'), ["h100-smx", "h100-sxm"]),
        (EOS.replace("schema = 1", "schema = 2"), ["schema", "must be 1"]),
        (EOS.replace("schema = 1", ""), ["schema"]),
        ("=", ["is no TOML"]),
        ("[" * 100_000, ["TOML"]),
        ("", ["is empty"]),
    ],
)
def test_a_cluster_file_at_fault_is_told_by_file_key_and_rule(text: str, words: list[str]) -> None:
    Path("mine.toml").write_text(text, encoding="utf-8")
    line = plan_refused(*ON_CLUSTER, "mine.toml")
    assert [word for word in ["mine.toml", *words] if word not in line] == []


def test_two_faults_of_a_file_are_told_in_one_line() -> None:
    text = EOS.replace("owner =", "ownr =").replace('"ndr-fat-tree"', '"ndr-fat-tee"')
    Path("mine.toml").write_text(text, encoding="utf-8")
    line = plan_refused(*ON_CLUSTER, "mine.toml")
    assert "ownr" in line
    assert "ndr-fat-tee" in line


def test_a_file_of_a_gigabyte_is_refused_unread() -> None:
    with Path("huge.toml").open("wb") as file:
        file.truncate(2**30)
    assert "at most" in plan_refused(*ON_CLUSTER, "huge.toml")


def test_a_file_that_is_not_utf_8_is_told() -> None:
    Path("latin.toml").write_bytes(EOS.replace("NVIDIA", "Nvidi\xe4").encode("latin-1"))
    assert "UTF-8" in plan_refused(*ON_CLUSTER, "latin.toml")


def test_a_folder_a_device_and_no_file_at_all_are_told() -> None:
    Path("folder.toml").mkdir()
    assert "regular file" in plan_refused(*ON_CLUSTER, "folder.toml")
    assert "regular file" in plan_refused(*ON_CLUSTER, "/dev/zero")
    assert "No such file" in plan_refused(*ON_CLUSTER, "missing.toml")


@pytest.mark.parametrize("option", ["-o", "--html"])
def test_a_folder_that_is_not_there_cannot_be_written_to(option: str) -> None:
    assert "missing" in refused("plan", *SMALL, "--tokens", "1e12", option, "missing/out")


def test_a_folder_is_no_plan_file() -> None:
    Path("folder").mkdir()
    assert "folder" in refused("plan", *SMALL, "--tokens", "1e12", "-o", "folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder_is_told() -> None:
    Path("locked").mkdir(mode=0o500)
    assert "locked" in refused("plan", *SMALL, "--tokens", "1e12", "-o", "locked/plan.toml")


def test_a_plan_that_cannot_be_written_leaves_the_old_one() -> None:
    Path("plan.toml").write_text("old", encoding="utf-8")
    plan_refused(*SMALL, "--tokens", "nan")
    assert Path("plan.toml").read_text(encoding="utf-8") == "old"


def test_a_model_that_fits_nowhere_says_what_would_fit() -> None:
    arguments = ("plan", "grok-1", "--gpu", "h100-sxm", "--gpus", "2", "--tokens", "1e12")
    ran = giga(*arguments, "-o", "plan.toml", "--json")
    assert ran.code == 1
    assert is_one_line(ran.err)
    assert "would fit" in ran.err
    found = ran.json
    assert found["layout"] is None
    assert set(found["nearest"]) >= {"layout", "memory_bytes", "would_fit_if"}
    assert found["nearest"]["memory_bytes"] > 80e9
    assert found["nearest"]["would_fit_if"]
    assert all(words in ran.err for words in found["nearest"]["would_fit_if"])
    assert list(Path.cwd().iterdir()) == []


def test_what_would_make_a_model_fit_does() -> None:
    short = giga("plan", "grok-1", "--gpu", "h100-sxm", "--gpus", "2", "--tokens", "1e12", "--json")
    cure = next(one for one in short.json["nearest"]["would_fit_if"] if "GPUs instead" in one)
    answered("plan", "grok-1", "--gpu", "h100-sxm", "--gpus", cure.split()[0], "--tokens", "1e12")


WORDS: Final = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        ["grok-tiny", "llama-3.1-8b", "eos", "h100-sxm", "8", "64", "1e12", "2048", "2026-06-01",
         "2099-12-31", "bf16", "fp8", "20MW", "5e6", "/", ".", "..", "/dev/null", "~", "0x10"]
    ),
)  # fmt: skip
OPTIONS: Final = ("--cluster", "--gpu", "--gpus", "--tokens", "--start", "--by", "--seq-len",
                  "--global-batch-tokens", "--power-cap", "--budget", "--precision", "--site",
                  "--software", "--faults")  # fmt: skip


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(model=WORDS, options=st.dictionaries(st.sampled_from(OPTIONS), WORDS, max_size=5))
def test_whatever_is_typed_is_answered_or_told_in_one_line(
    model: str, options: dict[str, str]
) -> None:
    base = {"--gpu": "h100-sxm", "--gpus": "8", "--tokens": "1e12"}
    words = [word for pair in (base | options).items() for word in pair]
    ran = giga("plan", "--json", *words, "--", model)
    assert ran.code in {0, 1, 2}
    assert ran.json["schema"] == 1
    if ran.code:
        assert is_one_line(ran.err.splitlines(keepends=True)[-1])


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    options=st.dictionaries(
        st.sampled_from(("--start", "--by", "--seq-len", "--global-batch-tokens", "--power-cap",
                         "--budget", "--gpus", "--tokens")),
        st.one_of(
            st.integers(1, 10**7).map(str),
            st.floats(0, 1e20).map(str),
            st.dates().map(str),
        ),
        max_size=3,
    )
)  # fmt: skip
def test_every_number_and_date_is_answered_or_told_in_one_line(options: dict[str, str]) -> None:
    base = {"--gpu": "h100-sxm", "--gpus": "8", "--tokens": "1e12"}
    words = [word for pair in (base | options).items() for word in pair]
    ran = giga("plan", "grok-tiny", "--json", *words)
    assert ran.code in {0, 1, 2}
    assert ran.json["schema"] == 1
    if ran.code:
        assert is_one_line(ran.err.splitlines(keepends=True)[-1])
