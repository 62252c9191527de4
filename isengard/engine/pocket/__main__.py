"""Command line of Pocket: `build` makes the weights, `sheet` draws prompts, `measure` counts, `photos`
writes the sample photos."""

from __future__ import annotations

import argparse
from pathlib import Path

from isengard.engine.pocket import WEIGHTS


def _build(arguments: argparse.Namespace) -> None:
    from isengard.engine.pocket.build import Plan, build

    build(Plan(
        build=arguments.work, out=arguments.out, reading=arguments.minutes_reading, vae=arguments.minutes_vae,
        transformer=arguments.minutes_transformer, finish=arguments.minutes_finish, processes=arguments.processes,
        compiled=arguments.compile,
    ))  # fmt: skip


def _sheet(arguments: argparse.Namespace) -> None:
    from isengard.engine.pocket.sheet import draw_sheet

    draw_sheet(arguments.weights, arguments.out)


def _measure(arguments: argparse.Namespace) -> None:
    from isengard.engine.pocket.measure import prompt_control

    for source, shares in prompt_control(arguments.weights, arguments.count).items():
        print(f"{source:6}", "  ".join(f"{key} {share:.2f}" for key, share in shares.items()))


def _photos(arguments: argparse.Namespace) -> None:
    from isengard.engine.pocket.faces import sample_photos

    arguments.out.mkdir(parents=True, exist_ok=True)
    for file_name, picture, caption in sample_photos(arguments.size, arguments.count, arguments.name):
        picture.save(arguments.out / file_name)
        (arguments.out / file_name).with_suffix(".txt").write_text(caption + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m isengard.engine.pocket", description=__doc__)
    commands = parser.add_subparsers(required=True)
    make = commands.add_parser("build", help="render, train and write the weights; a stopped build goes on")
    make.add_argument("--work", type=Path, default=Path(".pocket-build"), help="where the stages are kept")
    make.add_argument("--out", type=Path, default=WEIGHTS)
    make.add_argument("--minutes-reading", type=float, default=3.0)
    make.add_argument("--minutes-vae", type=float, default=10.0)
    make.add_argument("--minutes-transformer", type=float, default=120.0, help="at 64 px, over all resumed runs")
    make.add_argument("--minutes-finish", type=float, default=50.0, help="at 96 px, after that")
    make.add_argument("--processes", type=int, default=2, help="one-thread CPU processes; ignored on CUDA")
    make.add_argument("--compile", action="store_true", help="compile the transformer first; needs a C++ compiler")
    make.set_defaults(run=_build)
    sheet = commands.add_parser("sheet", help="a contact sheet of prompts")
    sheet.add_argument("--weights", type=Path, default=WEIGHTS)
    sheet.add_argument("--out", type=Path, default=Path("pocket-sheet.png"))
    sheet.set_defaults(run=_sheet)
    measure = commands.add_parser("measure", help="how often the asked-for colours are drawn")
    measure.add_argument("--weights", type=Path, default=WEIGHTS)
    measure.add_argument("--count", type=int, default=96)
    measure.set_defaults(run=_measure)
    photos = commands.add_parser("photos", help="the sample character's photos with captions")
    photos.add_argument("--out", type=Path, required=True)
    photos.add_argument("--size", type=int, default=512)
    photos.add_argument("--count", type=int, default=12)
    photos.add_argument("--name", help="call her by this word in the captions")
    photos.set_defaults(run=_photos)
    return parser


if __name__ == "__main__":
    chosen = _parser().parse_args()
    chosen.run(chosen)
