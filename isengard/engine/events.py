"""What the engine says while it works: one JSON object a line, on stdout. No torch, no Django.

Every event has `type`, and `job` where it belongs to one:

ready        {pid, device, torch}                        once, when `serve` can take commands (and holds the GPU lock)
heartbeat    {rss_bytes, cpu_percent, gpu_percent?,      every 2 s, from a thread, also while a step is long; cpu is a
              vram_bytes?, celsius?, watts?}             share of all processors, the rest only where a GPU tells it
stage        {stage, message}                            loading_model, preparing_dataset, checking, training, sampling,
                                                         saving_checkpoint, exporting, encoding, denoising, saving
progress     {step, total, message?}                     at most 10 a second; of pictures too large for the base each
                                                         window of a step counts, and each tile of an upscaler
check        {name, state, text, seconds}                a tick of a training's pipeline check. name: text, photos, vae,
                                                         step, memory, sample (in this order, sample after step 1 where
                                                         nothing was learnt before); state: running, then ok, failed
                                                         (an `error` follows) or skipped
probe        {seconds_per_step, peak_vram_bytes,         what two real steps took, before they are taken back; the first
              peak_rss_bytes}                            includes what is set up only once, so its seconds are left out
metric       {step, loss, learning_rate, speed, seconds} every logged step; speed in steps per second
log          {level, event, message, fields}             for the job's log
preview      {path, index, step, total}                  a picture while it denoises (overwritten, not kept)
sample       {path, step, prompt_index, prompt, seed, width, height}
checkpoint   {path, step, size_bytes, state, loss, kept} `path` the LoRA, `state` the resume state beside it, `loss` the
                                                         mean of the last steps; `kept` says of every step that still
                                                         has its file why: [{step, reason}]. All others are deleted
caption      {index, model, text, error?}                what a captioner says of a photo
output       {path, index, seed, width, height, size_bytes, seconds}
result       {…}                                         the job is done (train: path, sha256, size_bytes, rank, steps,
                                                         final_loss, seconds, training_seconds, seconds_per_step,
                                                         peak_vram_bytes, peak_rss_bytes, stopped, and when it was not
                                                         stopped loads_in_diffusers and effect; generate: outputs,
                                                         seconds, stopped)
error        {code, message, retryable, detail}          the job failed; `message` says what to do next

`effect` is how much the finished LoRA changes a picture: the mean absolute difference of all pixels with and without
it, same seed, as a share of white (0 … 1).

Commands go in on stdin, one JSON object a line: {"cmd": "run", "spec": {…}}, {"cmd": "stop", "job": "…"} (save, then
end with `result` and `stopped: true`), {"cmd": "ask", "job": "…", "what": "save" | "sample" | "skip:3"} (a checkpoint
or previews after the step that runs; picture 3, counted from 0, not drawn, or no further; forgotten when the job ends),
{"cmd": "quit"}, {"cmd": "warm"} (import what the first job will
need). `run` may carry a `correlation_id`, which then stands in each `log`."""

from collections.abc import Callable
from typing import Any, Protocol

Event = dict[str, Any]

WHAT_CAN_BE_ASKED = frozenset({"save", "sample"})
SKIP = "skip:"


class Sink(Protocol):
    """Where the engine's code sends its events; `type` is one of the names above."""

    def __call__(self, type: str, /, **fields: Any) -> None: ...


# Asked between steps: True means save what there is and leave.
Stop = Callable[[], bool]
# Asked between steps: what somebody wants now (see `is_wish`). Each wish is told once.
Asks = Callable[[], set[str]]


def nothing_asked() -> set[str]:
    return set()


def is_wish(what: str) -> bool:
    """Whether it is something that a running job can be asked."""
    number = what.removeprefix(SKIP)
    return what in WHAT_CAN_BE_ASKED or (what.startswith(SKIP) and number.isdecimal() and len(number) < 6)
