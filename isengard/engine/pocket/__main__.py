"""Command line of Pocket: `build` makes the weights, `judges` the networks that judge them, `sheet` draws prompts,
`measure` counts, `card` writes the counts into the model card, `photos` writes the sample photos."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from isengard.engine.pocket import JUDGES, WEIGHTS


def _build(arguments: argparse.Namespace) -> None:
    from isengard.engine.pocket.build import Plan, build

    build(Plan(
        build=arguments.work, out=arguments.out, reading=arguments.minutes_reading, vae=arguments.minutes_vae,
        transformer=arguments.minutes_transformer, finish=arguments.minutes_finish, processes=arguments.processes,
        compiled=arguments.compile,
    ))  # fmt: skip
    _gates_of(arguments.out, 200, None, JUDGES, None)


def _sheet(arguments: argparse.Namespace) -> None:
    from isengard.engine.pocket.sheet import draw_sheet

    draw_sheet(arguments.weights, arguments.out, size=arguments.size)


def _judges(arguments: argparse.Namespace) -> None:
    from isengard.engine.pocket.judge_training import Plan, train_judges, write_figures
    from isengard.engine.pocket.judges import load_judges

    plan = Plan(work=arguments.work, out=arguments.out, vae=arguments.weights / "vae")
    figures = write_figures(load_judges(plan.out), plan) if arguments.examine else train_judges(plan).figures
    print(json.dumps(figures, indent=1))


def _measure(arguments: argparse.Namespace) -> None:
    _gates_of(arguments.weights, arguments.count, arguments.size, arguments.judges, arguments.out)


def _gates_of(weights: Path, count: int, size: int | None, judges: Path, out: Path | None) -> None:
    from isengard.engine.pocket.card import table, write_results
    from isengard.engine.pocket.measure import measure

    gates = measure(weights, count, size, judges)
    print(table(gates))
    if out:
        write_results(out, gates)


def _judge(arguments: argparse.Namespace) -> None:
    from isengard.engine.pocket import identity, trial
    from isengard.engine.pocket.card import table, write_results
    from isengard.engine.pocket.judges import load_judges

    size = arguments.size or json.loads((arguments.weights / "pocket.json").read_text())["native_size"]
    plan = trial.Plan(str(arguments.weights), trial.default_params(), size)
    files = identity.produce(plan, arguments.identities, arguments.work, arguments.processes)
    judges = load_judges()
    centres = identity.gallery(judges)
    gates = identity.gates([identity.judge(judges, centres, *numbered) for numbered in enumerate(files)])
    print(table(gates))
    if arguments.out:
        write_results(arguments.out, gates, recipe=plan.params)
    if arguments.sheet:
        identity.draw_sheet(files[:6], arguments.sheet)


def _card(arguments: argparse.Namespace) -> None:
    from isengard.engine.pocket.card import write_card

    write_card(arguments.card, arguments.results)


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
    sheet.add_argument("--size", type=int, help="side of the drawn pictures; the native one unless told")
    sheet.set_defaults(run=_sheet)
    judges = commands.add_parser("judges", help="train the attribute reader and the identity embedder")
    judges.add_argument("--work", type=Path, default=Path(".pocket-build/judges"), help="where the renders are kept")
    judges.add_argument("--out", type=Path, default=JUDGES)
    judges.add_argument("--weights", type=Path, default=WEIGHTS, help="whose autoencoder the renders go through")
    judges.add_argument("--examine", action="store_true", help="train nothing: write the figures of those in --out")
    judges.set_defaults(run=_judges)
    measure = commands.add_parser("measure", help="autoencoder, prompt control and known names, read by the judges")
    measure.add_argument("--weights", type=Path, default=WEIGHTS)
    measure.add_argument("--count", type=int, default=200, help="prompts")
    measure.add_argument("--size", type=int, help="side of the drawn pictures; the native one unless told")
    measure.add_argument("--judges", type=Path, default=JUDGES)
    measure.add_argument("--out", type=Path, help="write the gates as JSON there too")
    measure.set_defaults(run=_measure)
    judge = commands.add_parser("judge", help="the identity test: people are trained, drawn and recognised, or not")
    judge.add_argument("--weights", type=Path, default=WEIGHTS)
    judge.add_argument("--identities", type=int, default=20)
    judge.add_argument("--size", type=int, help="side of the drawn pictures; the native one unless told")
    judge.add_argument("--processes", type=int, default=2, help="people at a time, one thread each")
    judge.add_argument("--work", type=Path, default=Path(".pocket-build/identity"), help="where pictures are kept")
    judge.add_argument("--out", type=Path, help="write the gates as JSON there too")
    judge.add_argument("--sheet", type=Path, help="draw the first six people there")
    judge.set_defaults(run=_judge)
    card = commands.add_parser("card", help="put the gates of result files into the model card's table")
    card.add_argument("results", type=Path, nargs="+")
    card.add_argument("--card", type=Path, default=WEIGHTS.parent / "README.md")
    card.set_defaults(run=_card)
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
