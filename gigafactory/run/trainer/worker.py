"""One process of a run: from the run folder to its result.

torchrun starts it as `python -m gigafactory.run.trainer RUN`, and starts all anew when one dies.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.distributed as dist

from gigafactory.errors import GigafactoryError
from gigafactory.run import outcome
from gigafactory.run.launch import DATA, STOP
from gigafactory.run.record import CHECKPOINTS, RunFolder
from gigafactory.run.trainer.agent import end_with_parent
from gigafactory.run.trainer.build import build
from gigafactory.run.trainer.checkpoint import clear_parts
from gigafactory.run.trainer.loop import Loop
from gigafactory.run.trainer.mender import TrainingStopped, next_batch
from gigafactory.run.trainer.recorder import Recorder, lost
from gigafactory.run.trainer.sample import sample
from gigafactory.run.trainer.watchdog import Watchdog

if TYPE_CHECKING:
    from gigafactory.run.trainer.restore import Found
    from gigafactory.spec.plan import Plan
    from gigafactory.spec.run import Event

HANG_MARGIN_S: Final = 60.0  # the watchdog comes first, and knows more


def main(arguments: list[str]) -> int:
    """Train; return the exit code. 0 also where a result says that training failed for good."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    folder = RunFolder(Path(arguments[0]))
    rank = int(os.environ.get("RANK", "0"))
    told = folder.result()
    if told is not None and told.state == "failed":
        return 0  # another rank found that to start again is of no use
    recorder = Recorder(folder, rank)
    try:
        _train(folder, recorder)
    except TrainingStopped as error:  # which all ranks agree on
        return _give_up(folder, recorder, str(error)) if rank == 0 else 0
    except GigafactoryError as error:
        return _give_up(folder, recorder, str(error))
    except Exception as error:
        traceback.print_exc()
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        recorder.event("failure", detail=reason, pid=os.getpid())
        return 1
    return 0


def _give_up(folder: RunFolder, recorder: Recorder, reason: str) -> int:
    """Write that training failed for good."""
    recorder.event("finish", detail=f"failed: {reason}")
    folder.finish(outcome.of(folder, "failed", reason=reason))
    return 0


def _train(folder: RunFolder, recorder: Recorder) -> None:
    plan, training = folder.plan(), folder.training()
    begun = time.perf_counter()
    torch.set_num_threads(threads_per_rank(plan))
    if recorder.rank == 0:
        _tell_start(recorder)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    limit = dt.timedelta(seconds=training.hang_s + HANG_MARGIN_S)
    dist.init_process_group(backend, timeout=limit)
    watchdog = Watchdog(training.hang_s, lambda stack: _tell_hang(folder, recorder, stack))
    loop = Loop(
        plan,
        training,
        build(plan, training),
        data=_data(folder, plan, recorder.rank),
        recorder=recorder,
        watchdog=watchdog,
    )
    asked = _listen()  # before, a signal may end the process: nothing is lost
    loop.asked_to_stop = lambda: bool(asked) or (folder.path / STOP).exists()
    if recorder.rank == 0:
        clear_parts(folder.path / CHECKPOINTS)
    found = loop.keeper.restore()
    _tell_resume(folder, recorder, loop, found, begun)
    watchdog.alive()
    state = loop.run()
    _end(folder, recorder, loop, state, asked)
    watchdog.close()
    dist.barrier()
    dist.destroy_process_group()


def _end(folder: RunFolder, recorder: Recorder, loop: Loop, state: str, asked: list[str]) -> None:
    """Save what was trained, and say how it ended."""
    if recorder.rank == 0 and state == "stopped":
        recorder.event("signal", detail=asked[0] if asked else STOP, step=loop.progress.step)
    loop.keeper.save(wait=True)
    if recorder.rank:
        return
    text = ""
    if state == "finished" and loop.keeper.failed is None:
        text = sample(folder.path, loop.plan, loop.training.sample_tokens, loop.training.seed)
        recorder.event("sample", detail=" ".join(text.split())[:200])
    recorder.event("finish", detail=state, step=loop.progress.step)
    held_out, failed = loop.progress.evaluation_loss, loop.keeper.failed
    reason = f"the last checkpoint could not be written: {failed.error}" if failed else ""
    folder.finish(outcome.of(folder, state, reason=reason, evaluation_loss=held_out, sample=text))


def threads_per_rank(plan: Plan) -> int:
    """Return the cores of one rank: the node's, over the accelerators of the plan's node."""
    cores = len(os.sched_getaffinity(0))
    return max(cores // plan.cluster.node.num_accelerators, 1)


def _listen() -> list[str]:
    """Return a list that the name of a signal to stop is put into when one comes."""
    asked: list[str] = []

    def heard(number: int, _: Any) -> None:
        asked.append(signal.Signals(number).name)

    signal.signal(signal.SIGTERM, heard)
    signal.signal(signal.SIGINT, heard)
    return asked


def _data(folder: RunFolder, plan: Plan, rank: int) -> Any:
    from gigafactory.run.trainer.data import Dataset

    seed = folder.training().seed
    return Dataset.open(
        folder.path / DATA, seq_len=plan.layout.seq_len, seed=seed, verify=rank == 0
    )


def _tell_start(recorder: Recorder) -> None:
    """Tell the first start, or that another attempt follows one that ended without a word."""
    events = recorder.folder.events()
    if not any(e.kind == "start" for e in events):
        recorder.event("start", pid=os.getpid(), detail=f"torch {torch.__version__}")
        return
    last = _last_of(events, "start", "resume", "restart", "failure", "hang", "finish")
    if last is None or last.kind == "finish":
        return
    if last.kind not in ("failure", "hang"):
        recorder.event("failure", detail="the attempt before ended without a word")
    recorder.event("restart", detail=f"attempt {1 + sum(e.kind == 'restart' for e in events) + 1}")


def _tell_resume(
    folder: RunFolder, recorder: Recorder, loop: Loop, found: Found | None, begun: float
) -> None:
    """Forget steps that are trained again, pass over batches as before, and tell where we are."""
    events, steps = folder.events(), folder.steps()
    dist.barrier()  # all have read before the first rank rewrites
    loop.progress.highest = highest = lost(events, steps)
    step = loop.progress.step
    loop.progress.batch = next_batch(events, step, loop.progress.batch)
    if recorder.rank or (found is None and not steps and not highest):
        return
    again = folder.rewind(step)
    what = f"from {found.path.name}" if found else "from the beginning: no checkpoint yet"
    recorder.event(
        "resume", pid=os.getpid(), step=step, detail=what,
        duration_s=time.perf_counter() - begun,
        values={
            "lost_steps": float(len(again)),
            "lost_s": sum(s.step_time_s for s in again),
            "highest_step": float(highest),
        },
    )  # fmt: skip


def _last_of(events: list[Event], *kinds: str) -> Event | None:
    return next((e for e in reversed(events) if e.kind in kinds), None)


def _tell_hang(folder: RunFolder, recorder: Recorder, stack: str) -> None:
    """Write the stack of a hung step beside the run, and where it hung into the events."""
    name = f"hang-rank{recorder.rank}-{os.getpid()}.txt"
    (folder.path / name).write_text(stack, encoding="utf-8")
    where = stack.strip().splitlines()[-2:]
    detail = f"no step for {folder.training().hang_s:g} s, stack in {name}: {' '.join(where)}"
    recorder.event("hang", detail=" ".join(detail.split()), pid=os.getpid())


def run() -> None:
    """Run `main` and end at once, whatever threads of a broken process group still wait."""
    end_with_parent(os.getppid())
    code = main(sys.argv[1:])
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
