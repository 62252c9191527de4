"""The engine's own command line: `python -m isengard.engine serve | train SPEC | generate SPEC | capabilities | bench`,
`bench-train` or `bench-draw`.

Needs no Django and no service. Events are JSON lines on stdout; everything else goes to stderr."""

import argparse
import json
import sys
from pathlib import Path

from isengard.engine import capabilities, serve
from isengard.engine.backends.base import Working
from isengard.engine.backends.native import NativeBackend


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m isengard.engine", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    loop = commands.add_parser("serve", help="take jobs on stdin until told to quit")
    loop.add_argument("--lock", type=Path, help="file to hold a lock on while alive: one engine per device")
    loop.add_argument("--parent", type=int, help="process id of the worker to end with")
    for name, what in (("train", "train a LoRA"), ("generate", "make pictures")):
        job = commands.add_parser(name, help=f"{what} as a spec file says, then end")
        job.add_argument("spec", type=Path, help="JSON as isengard/engine/specs.py describes it")
    commands.add_parser("capabilities", help="what this machine can run, as JSON")
    measure = commands.add_parser("bench", help="measure the engine on the tiny base model of the repository")
    measure.add_argument("--json", type=Path, help="write the figures there too")
    drawing = commands.add_parser("bench-draw", help="measure pictures at FLUX.1's own size: needs CUDA")
    drawing.add_argument("--json", type=Path, help="write the figures there too")
    trainer = commands.add_parser("bench-train", help="measure the trainer against a bare loop and a public script")
    trainer.add_argument("--json", type=Path, help="write the figures there too")
    trainer.add_argument("--script", type=Path, help="diffusers' train_dreambooth_lora_flux.py, wherever it lies")
    trainer.add_argument("--script-python", default=sys.executable, help="a Python that has what the script imports")
    trainer.add_argument("--full-size", action="store_true", help="FLUX.1's own size with random weights: needs CUDA")
    return top


def main() -> int:
    options = parser().parse_args()
    if options.command == "serve":
        backend = NativeBackend()
        return serve.main(Working(backend), backend.facts, backend.warm_up, lock=options.lock, parent=options.parent)
    if options.command == "capabilities":
        print(json.dumps(capabilities.probe().to_dict(), indent=2))
        return 0
    if options.command == "bench":
        return measure(options.json)
    if options.command == "bench-train":
        return measure_trainer(options)
    if options.command == "bench-draw":
        return measure_drawing(options.json)
    return once(options.command, options.spec)


def once(kind: str, path: Path) -> int:
    """One job from a spec file; 0 when it went well. Ctrl-C stops it as `stop` would: save, then leave."""
    try:
        spec = {**json.loads(path.read_text()), "kind": kind}
    except (OSError, ValueError, TypeError) as error:
        print(f"{path} is no spec: {error}", file=sys.stderr)
        return 2
    backend = NativeBackend()
    return 0 if serve.Server(Working(backend), serve.prepare(), backend.facts()).once(spec) else 1


def measure(path: Path | None) -> int:
    from isengard.engine import bench

    report = bench.measure()
    print(report.table())
    if path is not None:
        path.write_text(json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n")
    return 0


def measure_drawing(path: Path | None) -> int:
    """0 when everything holds that no busy machine can spoil; 2 when it cannot be measured here."""
    from isengard.engine import bench_draw
    from isengard.engine.bench_full import NoGpu

    try:
        report = bench_draw.measure()
    except NoGpu as error:
        print(error, file=sys.stderr)
        return 2
    print(report.table())
    if path is not None:
        path.write_text(json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n")
    return 0 if report.sound else 1


def measure_trainer(options: argparse.Namespace) -> int:
    """0 when everything holds that no busy machine can spoil; 2 when it cannot be measured here."""
    from isengard.engine import bench_full, bench_train
    from isengard.engine.bench_script import Program, ScriptFailed

    script = Program(options.script.resolve(), options.script_python) if options.script else None
    try:
        report = bench_full.measure() if options.full_size else bench_train.measure(script)
    except (bench_full.NoGpu, ScriptFailed) as error:
        print(error, file=sys.stderr)
        return 2
    print(report.table())
    if options.json is not None:
        options.json.write_text(json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n")
    return 0 if report.sound else 1


if __name__ == "__main__":
    sys.exit(main())
