"""Any spec written as TOML is read back equal; any text is read or refused in one line."""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.catalog import check, files
from gigafactory.errors import CatalogError
from gigafactory.spec.hardware import PRECISIONS, Accelerator
from gigafactory.spec.interval import Interval
from gigafactory.spec.job import Job
from gigafactory.spec.model import Experts, LatentAttention, Model

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
COUNT = st.integers(1, 10**6)
POSITIVE = st.floats(min_value=5e-324, allow_infinity=False, allow_nan=False)
RATES = st.dictionaries(st.sampled_from(PRECISIONS), POSITIVE, min_size=1)
DATES = st.dates(dt.date(1900, 1, 1), dt.date(2200, 1, 1))
SOURCES = st.dictionaries(TEXT, TEXT, max_size=3)

EXPERTS = st.builds(
    Experts, num_experts=st.integers(8, 512), top_k=st.integers(1, 8), ffn_hidden_size=COUNT
)
LATENT = st.builds(
    LatentAttention,
    query_rank=st.integers(0, 9999),
    kv_rank=COUNT,
    nope_head_dim=COUNT,
    rope_head_dim=COUNT,
    value_head_dim=COUNT,
)
MODELS = st.builds(
    Model,
    name=TEXT,
    num_layers=COUNT,
    hidden_size=COUNT,
    ffn_hidden_size=COUNT,
    num_heads=COUNT.map(lambda n: 8 * n),
    num_kv_heads=st.sampled_from([1, 2, 4, 8]),
    head_dim=COUNT,
    vocab_size=COUNT,
    context_length=COUNT,
    gated=st.booleans(),
    positions=st.sampled_from(["rope", "alibi", "learned"]),
    experts=st.none() | EXPERTS,
    latent_attention=st.none() | LATENT,
    published_parameters=st.none() | POSITIVE,
    source=SOURCES,
)
ACCELERATORS = st.builds(
    Accelerator,
    name=TEXT,
    title=TEXT,
    vendor=TEXT,
    peak_flops_per_s=RATES,
    memory_bytes=POSITIVE,
    memory_bytes_per_s=POSITIVE,
    power_w=st.none() | POSITIVE,
    launch=st.none() | DATES,
    note=TEXT,
    source=SOURCES,
)
JOBS = st.builds(
    Job,
    tokens=POSITIVE,
    seq_len=COUNT,
    global_batch_size=COUNT,
    start=DATES,
    by=st.none() | DATES,
    capacity_factor=st.none() | POSITIVE,
)
INTERVALS = st.lists(st.floats(0, 1e308), min_size=3, max_size=3).map(
    lambda three: Interval(**dict(zip(("low", "expected", "high"), sorted(three), strict=True)))
)


@settings(deadline=None)
@given(MODELS | ACCELERATORS | JOBS | INTERVALS)
def test_a_spec_written_as_toml_is_read_back_equal(spec: object) -> None:
    assert files.loads(type(spec), files.dumps(spec)) == spec


@settings(deadline=None)
@given(st.text(max_size=200), st.sampled_from([Model, Accelerator, Job]))
def test_any_text_is_a_spec_or_one_line_of_faults(text: str, cls: type) -> None:
    try:
        files.loads(cls, text)
    except CatalogError as error:
        assert "\n" not in str(error)  # noqa: PT017 - a text may also be fine


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | DATES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(ACCELERATORS, st.sampled_from(list(Accelerator.__dataclass_fields__)), VALUES)
def test_any_value_in_any_key_is_taken_or_refused_in_one_line(
    spec: Accelerator, key: str, value: object
) -> None:
    table = tomllib.loads(files.dumps(replace(spec, source={"default": "a test"})))
    table.pop("schema")
    try:
        check.build(Accelerator, {**table, key: value}, "file", sourced=True)
    except CatalogError as error:
        assert "\n" not in str(error)  # noqa: PT017 - a value may also be fine
