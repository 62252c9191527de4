"""`python -m isengard.studio run|up|down|child|health`: services for a command, one child of the studio. No Django."""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from isengard.studio import children, keeper, ports, services
from isengard.studio.errors import StudioError
from isengard.studio.paths import StatePaths
from isengard.studio.process import die_with_parent


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        return int(options.act(options))
    except StudioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run(paths: StatePaths, command: list[str]) -> int:
    """Run the command with DATABASE_URL and REDIS_URL set; returns its exit code (128 + signal when it was killed)."""
    with services.held(paths) as addresses:
        try:
            child = subprocess.Popen(
                command, env={**os.environ, **addresses.environment()}, preexec_fn=die_with_parent(signal.SIGTERM)
            )
        except OSError as error:
            raise StudioError(f"Cannot run {command[0]}: {error.strerror}.") from error
        # The terminal sends Ctrl-C to both of us, a process manager sends SIGTERM to us alone; the child decides.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda signum, frame: child.send_signal(signum))
        code = child.wait()
    return code if code >= 0 else 128 - code


def up(paths: StatePaths) -> int:
    for name, value in services.pin(paths).environment().items():
        print(f"export {name}='{value}'")
    return 0


def down(paths: StatePaths) -> int:
    if not services.unpin(paths):
        print("Still in use by another process; the services stop when it ends.", file=sys.stderr)
    return 0


def child(name: str, host: str, port: int) -> int:
    """Become one child of the studio, for a container that runs just that; its output and signals are then our own."""
    schedule = Path(tempfile.gettempdir()) / "beat-schedule"
    spec = children.named(name, host, port, schedule)
    os.execvpe(spec.command[0], spec.command, {**os.environ, **spec.environment})  # noqa: S606  (no shell is the point)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m isengard.studio", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, text, act in (
        ("run", "run a command with both services", lambda given: run(_paths(given), given.command)),
        ("up", "start them and print their addresses for a shell", lambda given: up(_paths(given))),
        ("down", "stop what `up` started", lambda given: down(_paths(given))),
        (
            "keep",
            "own the services until the last user leaves",
            lambda given: keeper.keep(_paths(given), given.services),
        ),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("--state-dir", required=True, help="folder for their data")
        verb.set_defaults(act=act)
        if name == "run":
            verb.add_argument("command", nargs="+", metavar="-- COMMAND")
        if name == "keep":
            verb.add_argument("services", nargs="+", choices=("postgres", "redis"))
    _add_container_verbs(verbs)
    return parser


def _add_container_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    one = verbs.add_parser("child", help="become one child of the studio")
    one.add_argument("name", help="web, beat, cpu, gpu0 ...")
    health = verbs.add_parser("health", help="exit code 0 when the page answers")
    for verb, host in ((one, "0.0.0.0"), (health, "127.0.0.1")):
        verb.add_argument("--host", default=host)
        verb.add_argument("--port", type=int, default=8000)
    one.set_defaults(act=lambda given: child(given.name, given.host, given.port))
    health.set_defaults(act=lambda given: not ports.answers(given.host, given.port))


def _paths(given: argparse.Namespace) -> StatePaths:
    return StatePaths.of(given.state_dir)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
