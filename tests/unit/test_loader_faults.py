"""Every way a catalog file can be wrong is one clear line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gigafactory.catalog import loader
from gigafactory.errors import CatalogError, SpecError
from gigafactory.spec.cluster import Cluster
from gigafactory.spec.hardware import Accelerator
from gigafactory.spec.model import Model

GOOD = """
schema = 1
name = "mine"
title = "My accelerator"
vendor = "me"
memory_bytes = 8e10
memory_bytes_per_s = 3.35e12
aliases = ["my-own"]

[peak_flops_per_s]
bf16 = 989e12

[source]
default = "my own measurement"
"""


def fault_of(tmp_path: Path, text: str, cls: type = Accelerator) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CatalogError) as caught:
        loader.load(cls, path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_a_good_file_loads_and_its_aliases_are_no_key_of_the_spec(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert loader.load(Accelerator, path).memory_bytes == 8e10


def test_an_unknown_key_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    message = fault_of(tmp_path, GOOD.replace("vendor", "vendors"))
    assert "vendors: is no key of accelerator (did you mean vendor?)" in message
    assert "vendor: is missing" in message


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("memory_gb = 80", "memory_bytes"),
        ("memory_gb_per_s = 3350", "memory_bytes_per_s"),
        ("power_kw = 0.7", "power_w"),
        ("nic_gbps = 400", "nic_bytes_per_s"),
        ("scale_up_gb_per_s = 450", "scale_up_bytes_per_s"),
    ],
)
def test_a_wrong_unit_is_told_the_right_key(tmp_path: Path, wrong: str, right: str) -> None:
    message = fault_of(tmp_path, GOOD.replace("aliases", f"{wrong}\naliases"))
    assert f"(wrong unit: use {right}, in SI)" in message


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("8e10", '"eighty"').replace('vendor = "me"\n', "colour = 1\n")
    message = fault_of(tmp_path, text.replace("schema = 1", "schema = 2"))
    for part in (
        "schema: must be 1, got 2",
        "memory_bytes: must be a valid number, got 'eighty'",
        "vendor: is missing",
        "colour: is no key",
    ):
        assert part in message


def test_a_number_without_a_source_is_refused(tmp_path: Path) -> None:
    message = fault_of(tmp_path, GOOD.replace("default =", "memory_bytes ="))
    assert "memory_bytes_per_s: has no source" in message
    assert "peak_flops_per_s: has no source" in message
    assert "memory_bytes: has no source" not in message


def test_aliases_are_texts(tmp_path: Path) -> None:
    message = fault_of(tmp_path, GOOD.replace('["my-own"]', "3"))
    assert message == "aliases: must be a list of texts, got 3"


def test_a_source_of_no_field_is_refused(tmp_path: Path) -> None:
    message = fault_of(tmp_path, GOOD + 'memory_byts = "typo"\n')
    assert "source.memory_byts: names no field (did you mean memory_bytes?)" in message


@pytest.mark.parametrize("value", ["-1", "0", "nan", "inf", "-inf", "true", '"80"', "[1]"])
def test_an_absurd_value_is_refused(tmp_path: Path, value: str) -> None:
    assert "memory_bytes" in fault_of(tmp_path, GOOD.replace("8e10", value))


def test_a_number_of_thousands_of_digits_is_refused(tmp_path: Path) -> None:
    assert len(fault_of(tmp_path, GOOD.replace("8e10", "9" * 5000))) < 400
    assert len(fault_of(tmp_path, GOOD.replace("8e10", "0x" + "f" * 9000))) < 400


def test_the_rule_of_a_spec_is_told_with_its_operands(tmp_path: Path) -> None:
    text = (loader.DATA / "models" / "grok-1.toml").read_text()
    message = fault_of(tmp_path, text.replace("num_kv_heads = 8", "num_kv_heads = 7"), Model)
    assert "num_kv_heads must divide num_heads 48, got 7" in message


def test_a_key_of_a_nested_table_is_named_by_its_path(tmp_path: Path) -> None:
    text = (loader.DATA / "models" / "grok-1.toml").read_text()
    message = fault_of(tmp_path, text.replace("top_k = 2", "topk = 2"), Model)
    assert "experts.topk: is no key of experts (did you mean top_k?)" in message


def test_a_cluster_names_all_parts_that_are_unknown(tmp_path: Path) -> None:
    text = (loader.DATA / "clusters" / "eos.toml").read_text()
    text = text.replace('"h100-sxm"', '"h100-smx"').replace('"dgx-h100"', '"dgx-h1000"')
    message = fault_of(tmp_path, text, Cluster)
    assert "accelerator: accelerator: unknown name 'h100-smx', nearest: h100-sxm" in message
    assert "node: node: unknown name 'dgx-h1000', nearest: dgx-h100" in message


def test_an_inline_part_needs_sources_of_its_own(tmp_path: Path) -> None:
    text = (loader.DATA / "clusters" / "eos.toml").read_text()
    text = text.replace('node = "dgx-h100"\n', "").replace(
        "[source]",
        '[node]\nname = "n"\ntitle = "n"\naccelerator = "h100-sxm"\nnum_accelerators = 8\n[source]',
    )
    assert "node.num_accelerators: has no source" in fault_of(tmp_path, text, Cluster)


def test_thousands_of_faults_still_make_a_line_that_can_be_read(tmp_path: Path) -> None:
    message = fault_of(tmp_path, "\n".join(f"key_{n} = 1" for n in range(5000)))
    assert len(message) < 3000
    assert "more" in message


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b"\xff\xfe", "must be UTF-8 text"),
        (b"name = ", "is no TOML"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"a = 1\na = 2", "is no TOML"),
    ],
)
def test_what_is_no_toml_is_refused(tmp_path: Path, content: bytes, rule: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(CatalogError, match=rule):
        loader.load(Accelerator, path)


def test_a_file_of_a_gigabyte_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.toml"
    with path.open("wb") as file:
        file.truncate(10**9)  # sparse: takes no room
    with pytest.raises(CatalogError, match="must be at most 1000000 bytes, has 1000000000"):
        loader.model(str(path))


def test_folders_devices_and_missing_files_are_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe, Path("/dev/zero")):
        with pytest.raises(CatalogError, match="must be a regular file"):
            loader.load(Accelerator, path)
    with pytest.raises(CatalogError, match="No such file"):
        loader.model(str(tmp_path / "absent.toml"))


@pytest.mark.parametrize("name", ["", " ", "\0", "a\nb", "x" * 10_000, "../..", "mod\udcff", "?*["])
def test_no_name_gets_past_as_anything_but_a_spec_error(name: str) -> None:
    for look_up in (loader.model, loader.cluster, loader.accelerator, loader.site):
        with pytest.raises(SpecError) as caught:
            look_up(name)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 12_000


def test_a_broken_rule_is_told_beside_an_unknown_key(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(
        'schema = 1\nname = "x"\nnum_layers = -2\nhidden_size = 8\nffn_hidden_size = 8\n'
        "num_heads = 1\nnum_kv_heads = 1\nhead_dim = 8\nvocab_size = 8\ncontext_length = 8\n"
        'colour = "red"\n[source]\ndefault = "made up"\n'
    )
    with pytest.raises(CatalogError) as caught:
        loader.load(Model, path)
    assert "colour" in str(caught.value)
    assert "num_layers must be between 1" in str(caught.value)
