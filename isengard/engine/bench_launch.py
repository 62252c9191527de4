"""Runs somebody else's training script unchanged and takes it through its optimizer steps on demand.

Called as `python -P bench_launch.py SCRIPT ARGUMENTS…`, perhaps with another Python: knows torch and nothing of ours.
After the first step, and then after as many as each line on stdin says, it writes two numbers: the seconds that they
took, and those of the processor."""

import os
import runpy
import sys
import time
from typing import Any, TextIO

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook


class Turns:
    """Lets the script run until the steps of a turn are done, then holds it until the next turn."""

    def __init__(self, out: TextIO) -> None:
        self.out, self.left, self.began = out, 1, now()

    def stepped(self, *_: Any) -> None:
        """After each optimizer step: from here to here is one whole step, whatever the script does between."""
        self.left -= 1
        if self.left:
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        wall, busy = now()
        self.out.write(f"{wall - self.began[0]} {busy - self.began[1]}\n")
        self.out.flush()
        line = sys.stdin.readline()
        if not line.strip():
            os._exit(0)  # what the script would do at its end (save, draw) is not asked for
        self.left, self.began = int(line), now()


def now() -> tuple[float, float]:
    """Seconds by the clock and of this process on the processor."""
    return time.perf_counter(), time.process_time()


def main() -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the script prints must not look like our numbers
    register_optimizer_step_post_hook(Turns(out).stepped)
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
