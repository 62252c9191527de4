"""Writes base.lock and dev.lock from the .in files: exact pins for plain `pip install -r`. Standard library only."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
HEADER = "# Written by `make lock`. Change the .in file instead.\n"


def resolve(*arguments: str) -> dict[str, str]:
    """Name to version of everything pip would install into an empty environment."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        subprocess.run([*pip, "--report", report.name, *arguments], check=True)
        found = json.load(report)["install"]
    # A local tag (+cpu) names one index; the plain version is what every machine can install.
    return {canonical(item["metadata"]["name"]): item["metadata"]["version"].split("+")[0] for item in found}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def markers(file: Path) -> dict[str, str]:
    """Environment markers of the .in file, which the resolved pins keep."""
    found = {}
    for line in file.read_text().splitlines():
        requirement, separator, marker = line.partition(";")
        if separator:
            found[canonical(re.split(r"[\[=<>~! ]", requirement, maxsplit=1)[0])] = marker.strip()
    return found


def write(target: Path, pins: dict[str, str], kept: dict[str, str], first: str = "") -> None:
    lines = [
        f"{name}=={version}" + (f"; {kept[name]}" if name in kept else "") for name, version in sorted(pins.items())
    ]
    target.write_text(HEADER + first + "\n".join(lines) + "\n")


def main() -> None:
    base_in, dev_in = HERE / "base.in", HERE / "dev.in"
    base = resolve("-r", str(base_in))
    write(HERE / "base.lock", base, markers(base_in))
    everything = resolve("-r", str(base_in), "-r", str(dev_in), "-c", str(HERE / "base.lock"))
    dev = {name: version for name, version in everything.items() if name not in base}
    write(HERE / "dev.lock", dev, markers(dev_in), first="-r base.lock\n")


if __name__ == "__main__":
    main()
