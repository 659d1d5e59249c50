"""What Slurm is given, as golden files whose difference is the message.

GIGAFACTORY_REGENERATE=1 writes the files anew; read their difference before committing it.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from gigafactory.catalog import loader
from gigafactory.run.slurm_cluster import SlurmSite, configuration
from gigafactory.run.slurm_script import SlurmOptions, script
from gigafactory.spec.run import Training
from tests.golden.test_printed_plan import assert_golden
from tests.made_answer import ANSWER
from tests.tiny_plan import tiny_plan

if TYPE_CHECKING:
    from pathlib import Path

SPARE: Final = SlurmOptions(
    time_limit_s=1_209_600, lead_s=90, partition="train", account="research", nodes_spare=4,
    extra=("--qos=high", "--constraint=h100"), environment=(("NCCL_DEBUG", "WARN"),),
    python="/opt/gigafactory/bin/python",
)  # fmt: skip
CORES: Final = SlurmOptions(time_limit_s=660, lead_s=30, gpus=False, python="/usr/bin/python3")


def scripts() -> dict[str, str]:
    return {
        "slurm_spare.sh": script(ANSWER.promise.plan, Training(), SPARE, "/shared/runs/made moe"),
        "slurm_cores.sh": script(tiny_plan(), Training(max_restarts=2), CORES, "/shared/tiny"),
    }


@pytest.mark.parametrize("name", ["slurm_spare.sh", "slurm_cores.sh"])
def test_a_batch_script_is_written_as_its_golden_file_shows(name: str) -> None:
    assert_golden(name, scripts()[name])


@pytest.mark.parametrize("name", ["slurm_spare.sh", "slurm_cores.sh"])
def test_bash_reads_a_batch_script_without_complaint(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(scripts()[name], encoding="utf-8")
    bash = shutil.which("bash")
    assert bash is not None
    run = subprocess.run((bash, "-n", path), capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("name", ["slurm.conf", "gres.conf", "topology.conf"])
def test_a_cluster_is_written_as_its_golden_files_show(name: str) -> None:
    small = replace(loader.cluster("gigafactory"), name="small", num_gpus=17_000)
    assert_golden(f"slurm_cluster_{name}", configuration(small, SlurmSite())[name])


def test_the_same_plan_gives_the_same_bytes() -> None:
    first, second = ("".join(scripts().values()).encode() for _ in range(2))
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
