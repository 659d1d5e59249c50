"""What a crash may do to a run folder: cut a file at any byte, and nothing but one line is lost."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from gigafactory.run import lines
from gigafactory.run.record import RunFolder
from gigafactory.spec.run import EVENT_KINDS, Event, StepRecord
from tests.made_run import at

NUMBER: Final = st.floats(allow_nan=False)
TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
STEPS: Final = st.builds(
    StepRecord,
    step=st.integers(0, 10**9),
    loss=NUMBER,
    tokens=st.integers(1, 10**9),
    step_time_s=NUMBER,
    time=st.floats(0, 1e9).map(at),
    redo=st.booleans(),
    gradient_norm=st.none() | NUMBER,
    spans_s=st.dictionaries(st.sampled_from(["data", "other"]), NUMBER, max_size=2),
    memory_bytes=st.none() | NUMBER,
)
EVENTS: Final = st.builds(
    Event,
    time=st.floats(0, 1e9).map(at),
    kind=st.sampled_from(EVENT_KINDS),
    rank=st.integers(-1, 10**6),
    detail=TEXT,
    pid=st.none() | st.integers(1, 10**7),
    step=st.none() | st.integers(0, 10**9),
    values=st.dictionaries(TEXT.filter(lambda name: "." not in name), NUMBER, max_size=3),
)
RECORD: Final = StepRecord(step=7, loss=1.5, tokens=8, step_time_s=0.25, time=at(1.0),
                           spans_s={"data": 0.25})  # fmt: skip


@given(st.lists(STEPS, max_size=5), st.lists(EVENTS, max_size=5))
def test_records_are_read_back_equal(steps: list[StepRecord], events: list[Event]) -> None:
    with TemporaryDirectory() as folder:
        for name, records in (("steps", steps), ("events", events)):
            for record in records:
                lines.append(Path(folder, name), record)
        assert lines.read(Path(folder, "steps"), StepRecord) == steps
        assert lines.read(Path(folder, "events"), Event) == events


def test_a_file_cut_at_any_byte_loses_one_line_at_the_most_and_is_written_on(
    tmp_path: Path,
) -> None:
    written = [lines.encode(RECORD), lines.encode(RECORD), lines.encode(RECORD)]
    whole = "".join(written).encode()
    for cut in range(len(whole) + 1):
        path = tmp_path / f"{cut}.jsonl"
        path.write_bytes(whole[:cut])
        kept = sum(1 for n in (1, 2, 3) if cut >= len("".join(written[:n])))
        assert len(lines.read(path, StepRecord)) == kept, cut
        lines.append(path, RECORD)
        # The line that was whole but for its end is saved by the end it is given.
        saved = cut in [len("".join(written[:n])) - 1 for n in (1, 2, 3)]
        assert lines.read(path, StepRecord) == [RECORD] * (kept + saved + 1), cut


@given(st.integers(0, 400), st.integers(1, 400))
def test_a_reader_that_follows_sees_each_record_once(first: int, then: int) -> None:
    whole = (lines.encode(RECORD) * 3).encode()
    with TemporaryDirectory() as folder:
        path = Path(folder, "steps.jsonl")
        tail = lines.Tail(path, StepRecord)
        assert not tail.poll()
        for upto in (first, first + then, len(whole)):
            path.touch()
            with path.open("r+b") as file:
                file.write(whole[: min(upto, len(whole))])
            tail.poll()
        assert tail.records == [RECORD] * 3
        tail.close()


def test_a_reader_that_follows_a_run_back_to_its_checkpoint_reads_anew(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    tail = lines.Tail(tmp_path / "steps.jsonl", StepRecord)
    steps = [StepRecord(step=n, loss=1.0, tokens=1, step_time_s=1.0, time=at(n)) for n in range(9)]
    for step in steps:
        folder.add_step(step)
    tail.poll()
    assert folder.rewind(4) == steps[5:]
    assert tail.poll()
    assert tail.records == folder.steps() == steps[:5]
    assert folder.lost_steps() == steps[5:]
    tail.close()


@given(st.lists(st.integers(0, 12), max_size=4))
def test_every_step_made_is_kept_or_lost_exactly_once(back: list[int]) -> None:
    with TemporaryDirectory() as path:
        folder, made, step, clock = RunFolder(Path(path)), [], 0, 0
        for to in [*back, 0]:
            while step < 12:
                step, clock = step + 1, clock + 1
                made.append(StepRecord(step=step, loss=1.0, tokens=1, step_time_s=1.0,
                                       time=at(clock)))  # fmt: skip
                folder.add_step(made[-1])
            folder.rewind(to)
            step = to
        told = [*folder.steps(), *folder.lost_steps()]
        assert sorted(told, key=lambda s: s.time) == made


@given(st.sampled_from([float("nan"), float("inf"), float("-inf")]))
def test_a_loss_that_is_no_number_is_json_that_others_read(loss: float) -> None:
    record = StepRecord(step=1, loss=loss, tokens=1, step_time_s=1.0, time=at(1))
    line = lines.encode(record)

    def refuse(name: str) -> None:
        raise AssertionError(name)

    told = json.loads(line, parse_constant=refuse)
    assert told["loss"] is None
    with TemporaryDirectory() as folder:
        path = Path(folder, "steps.jsonl")
        path.write_text(line)
        assert repr(lines.read(path, StepRecord)) == repr([record])
