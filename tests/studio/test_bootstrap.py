"""`deploy/venv.sh`, the first thing that runs on a fresh machine: what it installs, and what it says when it cannot."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose lock holds nothing, so that installing needs no network."""
    for name in ("deploy", "requirements"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "deploy" / "venv.sh", tmp_path / "deploy")
    for name in ("base.lock", "dev.lock"):
        (tmp_path / "requirements" / name).write_text("# nothing\n")
    return tmp_path


def bootstrap(checkout: Path, python: str = sys.executable) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["deploy/venv.sh", "base"],
        cwd=checkout,
        env={"PATH": "/usr/bin:/bin", "PYTHON": python, "HOME": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )


def fake_python(folder: Path, script: str) -> str:
    path = folder / "fake-python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def apt(packages: str) -> str:
    return f"{'' if os.geteuid() == 0 else 'sudo '}apt-get install -y {packages}"


def test_packages_are_installed_once_until_the_lock_changes(checkout: Path) -> None:
    first, second = bootstrap(checkout), bootstrap(checkout)
    (checkout / "requirements" / "base.lock").write_text("# changed\n")
    third = bootstrap(checkout)
    assert [run.returncode for run in (first, second, third)] == [0, 0, 0]
    assert ["Installing" in run.stdout for run in (first, second, third)] == [True, False, True]


def test_a_missing_python_is_one_sentence_with_the_command(checkout: Path) -> None:
    done = bootstrap(checkout, "/nowhere/python3")
    assert done.returncode == 1
    assert done.stderr == f"error: Python is not installed. Run: {apt('python3 python3-venv')}\n"


def test_a_missing_venv_module_is_one_sentence_with_the_command(checkout: Path) -> None:
    done = bootstrap(checkout, fake_python(checkout, '[ "$1" = -c ] && exit 1; exit 0'))
    assert done.returncode == 1
    assert done.stderr == f"error: Python's venv module is missing. Run: {apt('python3-venv')}\n"


def test_an_unsupported_python_is_one_sentence_with_the_command(checkout: Path) -> None:
    done = bootstrap(
        checkout, fake_python(checkout, 'if [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi')
    )
    assert done.returncode == 1
    assert "This is Python 3.9.2; Isengard needs 3.11 or 3.12" in done.stderr


def test_a_package_that_cannot_be_installed_names_the_compiler(checkout: Path) -> None:
    (checkout / "requirements" / "base.lock").write_text("./missing-package\n")
    done = bootstrap(checkout)
    assert done.returncode == 1
    assert apt("build-essential python3-dev") in done.stderr
    assert bootstrap(checkout).returncode == 1
