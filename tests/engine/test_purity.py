"""Who imports what, seen in fresh interpreters: no web process pays for torch, and the engine needs no Django."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ENGINE = [
    "catalog",
    "capabilities",
    "offers",
    "params",
    "specs",
    "tools",
    "events",
    "gauges",
    "retention",
    "rundir",
    "serve",
    "backends.native",
    "__main__",
]
HEAVY = ("torch", "diffusers", "transformers", "peft", "numpy")


def loaded_by(statement: str) -> set[str]:
    """Top-level modules in a fresh interpreter after a statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    env = {**os.environ, "SECRET_KEY": "x" * 50, "DJANGO_SETTINGS_MODULE": "isengard.settings"}
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=root, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return set(done.stdout.split())


def test_the_web_process_imports_no_torch(tmp_path: Path) -> None:
    assert not loaded_by("import isengard.asgi").intersection(HEAVY[:4])


@pytest.mark.parametrize("module", ENGINE)
def test_the_engines_facts_import_neither_django_nor_torch(module: str) -> None:
    assert not loaded_by(f"import isengard.engine.{module}").intersection({"django", "celery", *HEAVY})


def test_the_engines_work_imports_no_django() -> None:
    modules = loaded_by("import isengard.engine.sampling, isengard.engine.trainer.loop")
    assert "torch" in modules and not modules.intersection({"django", "celery", "channels", "rest_framework"})


def test_the_engine_host_needs_no_settings() -> None:
    assert "django" not in loaded_by("import isengard.jobs.host")
