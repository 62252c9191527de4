"""`python -m isengard.studio run|up|down`: Postgres and Redis for one command, or until told to stop. No Django."""

import argparse
import os
import signal
import subprocess
import sys

from isengard.studio import keeper, services
from isengard.studio.errors import StudioError
from isengard.studio.paths import StatePaths
from isengard.studio.process import die_with_parent


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    paths = StatePaths.of(options.state_dir)
    try:
        if options.verb == "keep":
            return keeper.keep(paths, options.services)
        if options.verb == "run":
            return run(paths, options.command)
        return up(paths) if options.verb == "up" else down(paths)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m isengard.studio", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, text in (
        ("run", "run a command with both services"),
        ("up", "start them and print their addresses for a shell"),
        ("down", "stop what `up` started"),
        ("keep", "own the services until the last user leaves (started by the others)"),
    ):
        one = verbs.add_parser(verb, help=text)
        one.add_argument("--state-dir", required=True, help="folder for their data")
        if verb == "run":
            one.add_argument("command", nargs="+", metavar="-- COMMAND")
        if verb == "keep":
            one.add_argument("services", nargs="+", choices=("postgres", "redis"))
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
