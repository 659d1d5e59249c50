"""torchrun, which ends with whoever started it: `python -m gigafactory.run.trainer.agent PID ...`.

Without that, workers of a launcher that was killed would go on beside those of its successor.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def end_with_parent(parent: int) -> None:
    """Ask the kernel to end this process when its parent ends; end it if that happened already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the process that started this one is gone")


def main() -> None:
    """Run torchrun with the arguments after the parent's process id."""
    end_with_parent(int(sys.argv[1]))
    from torch.distributed.run import main as torchrun

    torchrun(sys.argv[2:])


if __name__ == "__main__":
    main()
