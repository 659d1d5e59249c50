"""The newest checkpoint that is whole; one that is torn or altered is put aside, never loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.state_dict_loader import load as load_into

from gigafactory.run.trainer.checkpoint import CORRUPT, MANIFEST, STATE, sha256, standing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Found:
    """A checkpoint that is whole.

    Attributes:
        extra: What was saved beside the tensors.
    """

    path: Path
    step: int
    extra: dict[str, Any]


def fault(path: Path, rank: int = 0, ranks: int = 1) -> str:
    """Return what is wrong with a checkpoint's files, empty where nothing is.

    Args:
        path: Its folder.
        rank: Of this process, which reads each `ranks`-th file.
        ranks: Processes that share the work.
    """
    try:
        files = json.loads((path / MANIFEST).read_text(encoding="utf-8"))["files"]
        for index, (name, told) in enumerate(sorted(files.items())):
            if not (path / name).is_file():
                return f"{name} is missing"
            if (path / name).stat().st_size != told["bytes"]:
                return f"{name} has {(path / name).stat().st_size} bytes, not {told['bytes']}"
            if index % ranks == rank and sha256(path / name) != told["sha256"]:
                return f"{name} has another checksum than its manifest"
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        return f"{MANIFEST} cannot be read: {error}"
    return ""


def newest(
    folder: Path, passed_over: Callable[[Path, str], None], *, together: bool = False
) -> Found | None:
    """Return the newest whole checkpoint in a folder, None where there is none.

    Args:
        folder: RUN/checkpoints.
        passed_over: Told each newer one and its fault, on the first rank.
        together: Every rank calls it, and they share the reading.
    """
    rank, ranks = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
    for path in _agreed(standing(folder)) if together else standing(folder):
        wrong = fault(path, rank, ranks)
        if together:
            wrong = _first(wrong)
        if not wrong:
            extra = json.loads((path / STATE).read_text(encoding="utf-8"))
            return Found(path, int(path.name[5:]), extra)
        if rank == 0:
            passed_over(path, wrong)
    return None


def put_aside(path: Path) -> None:
    """Rename a checkpoint that is not whole, so that nothing takes it for one."""
    target = path.with_name(path.name + CORRUPT)
    if not target.exists():
        path.rename(target)


def load(found: Found, state: dict[str, Tensor], *, together: bool = False) -> None:
    """Fill tensors, cut as this layout cuts them, with what a checkpoint holds of them."""
    reader = FileSystemReader(found.path)
    known = reader.read_metadata().state_dict_metadata
    wanted = {k: v for k, v in state.items() if not k.startswith("rng.") or k in known}
    load_into(wanted, storage_reader=reader, no_dist=not together)


def _agreed(paths: list[Path]) -> list[Path]:
    """Return the first rank's list: others may see a shared folder a moment later."""
    told: list[list[Path]] = [paths]
    dist.broadcast_object_list(told, src=0)
    return told[0]


def _first(wrong: str) -> str:
    """Return the first rank's fault that has one."""
    everyone: list[str] = [""] * dist.get_world_size()
    dist.all_gather_object(everyone, wrong)
    return next((fault for fault in everyone if fault), "")


def generators() -> dict[str, Tensor]:
    """Return the state of this rank's random generator, by the name it is kept under."""
    return {f"rng.{dist.get_rank()}": torch.get_rng_state()}
