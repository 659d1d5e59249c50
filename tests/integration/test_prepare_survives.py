"""Preparing data while processes are killed, disks fill up and others prepare it too."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gigafactory.errors import SpecError
from gigafactory.run.trainer import shards
from gigafactory.run.trainer.data import Dataset, prepare

PREPARE = (
    "import sys; from pathlib import Path; from gigafactory.run.trainer.data import prepare; "
    "prepare(sys.argv[1], vocab_size=600, seed=0, folder=Path(sys.argv[2]), shard_bytes=20_000)"
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some megabytes of text: what stands beside the interpreter."""
    root = tmp_path_factory.mktemp("text")
    for name in ("argparse", "ast", "datetime", "decimal", "enum", "inspect", "socket", "typing"):
        shutil.copy(Path(os.__file__).parent / f"{name}.py", root)
    return root


def preparing(source: Path, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE, str(source), str(folder)], stderr=subprocess.PIPE
    )


def test_a_process_killed_at_any_moment_leaves_no_half_of_a_folder(
    source: Path, tmp_path: Path
) -> None:
    seed = int.from_bytes(os.urandom(4))
    sys.stdout.write(f"moments drawn with seed {seed}\n")
    moments = np.random.default_rng(seed)
    undisturbed = prepare(
        str(source), vocab_size=600, seed=0, folder=tmp_path / "calm", shard_bytes=20_000
    )
    killed = 0
    for round_ in range(4):
        folder = tmp_path / f"data-{round_}"
        part = tmp_path / f".{folder.name}.part"
        with preparing(source, folder) as running:
            while not part.exists() and running.poll() is None:
                time.sleep(0.005)
            time.sleep(moments.uniform(0, 0.8) if round_ else 0.0)  # the first never ends before
            running.send_signal(signal.SIGKILL)
        killed += running.returncode == -signal.SIGKILL
        assert not folder.exists() or shards.is_prepared(folder)
        again = prepare(str(source), vocab_size=600, seed=0, folder=folder, shard_bytes=20_000)
        assert again == undisturbed
        shards.verify(folder, again)
        assert not part.exists()
    assert killed > 0


def test_two_that_prepare_the_same_folder_do_not_disturb_each_other(
    source: Path, tmp_path: Path
) -> None:
    both = [preparing(source, tmp_path / "data") for _ in range(2)]
    for one in both:
        _, complaint = one.communicate(timeout=120)
        assert one.returncode == 0, complaint
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    Dataset.open(tmp_path / "data", seq_len=128, seed=0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield disk
    subprocess.run(["/bin/umount", str(disk)], check=True)


def test_a_full_disk_is_told_and_given_back(source: Path, small_disk: Path) -> None:
    with pytest.raises(SpecError, match=r"data cannot be prepared: No space left .* free some"):
        prepare(str(source), vocab_size=600, seed=0, folder=small_disk / "data")
    assert list(small_disk.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpecError, match="cannot be prepared: "):
        prepare(str(source), vocab_size=600, seed=0, folder=tmp_path / "file" / "data")
    with pytest.raises(SpecError, match="cannot be prepared: Not a directory"):
        prepare(str(source), vocab_size=600, seed=0, folder=tmp_path / "file")
