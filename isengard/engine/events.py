"""What the engine says while it works: one JSON object a line, on stdout. No torch, no Django.

Every event has `type`, and `job` where it belongs to one:

ready        {pid, device, torch}                        once, when `serve` can take commands (and holds the GPU lock)
heartbeat    {rss_bytes}                                 every 2 s, from a thread, also while a step is long
stage        {stage, message}                            loading_model, preparing_dataset, training, sampling,
                                                         saving_checkpoint, exporting, encoding, denoising, saving
progress     {step, total, message?}                     at most 10 a second
metric       {step, loss, learning_rate, speed, seconds} every logged step; speed in steps per second
log          {level, event, message, fields}             for the job's log
preview      {path, index, step, total}                  a picture while it denoises (overwritten, not kept)
sample       {path, step, prompt_index, prompt, seed, width, height}
checkpoint   {path, step, size_bytes, state}             `path` the LoRA, `state` the resume state beside it
caption      {index, model, text, error?}                what a captioner says of a photo
output       {path, index, seed, width, height, size_bytes, seconds}
result       {…}                                         the job is done (train: path, sha256, size_bytes, rank, steps,
                                                         final_loss, seconds, stopped; generate: outputs, seconds,
                                                         stopped)
error        {code, message, retryable, detail}          the job failed; `message` says what to do next

Commands go in on stdin, one JSON object a line: {"cmd": "run", "spec": {…}}, {"cmd": "stop", "job": "…"} (save, then
end with `result` and `stopped: true`), {"cmd": "quit"}, {"cmd": "warm"} (import what the first job will need).
`run` may carry a `correlation_id`, which then stands in each `log`."""

from collections.abc import Callable
from typing import Any, Protocol

Event = dict[str, Any]


class Sink(Protocol):
    """Where the engine's code sends its events; `type` is one of the names above."""

    def __call__(self, type: str, /, **fields: Any) -> None: ...


# Asked between steps: True means save what there is and leave.
Stop = Callable[[], bool]
