"""Every setting is written down, and every lock entry is an exact pin that plain pip takes from anywhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_every_variable_the_settings_read_is_documented() -> None:
    source = (ROOT / "isengard" / "settings.py").read_text()
    names = set(re.findall(r'(?:env\.\w+|environ\.get)\(\s*"([A-Z_]+)"', source)) | {"SECRET_KEY"}
    text = (ROOT / "docs" / "configuration.md").read_text()
    assert len(names) > 10
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("lock", ["base.lock", "dev.lock"])
def test_the_lock_holds_exact_pins_without_hosts_or_local_tags(lock: str) -> None:
    lines = (ROOT / "requirements" / lock).read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith(("#", "-r "))]
    assert len(pins) > 20
    assert [line for line in pins if not re.fullmatch(r"[a-z0-9-]+==[0-9][\w.!]*(; .+)?", line)] == []


def test_torch_is_the_pinned_one() -> None:
    assert "torch==2.13.0" in (ROOT / "requirements" / "base.lock").read_text().splitlines()
