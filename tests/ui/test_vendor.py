"""What the pages may hold: vendored files as they came, nothing from other hosts, nothing inline, little JavaScript."""

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STATIC, TEMPLATES = ROOT / "static", ROOT / "templates"
VENDOR = STATIC / "vendor"
OWN_TEMPLATES = sorted(ROOT.glob("templates/**/*.html"))
OWN_STATIC = [
    path for path in STATIC.rglob("*") if path.suffix in {".js", ".css", ".svg"} and VENDOR not in path.parents
]
# Names, not addresses: an XML namespace is never fetched.
NAMESPACE = "http://www.w3.org/2000/svg"


def listed() -> dict[str, str]:
    rows = re.findall(r"\| (\S+) \| ([0-9a-f]{64}) \|", (VENDOR / "VENDOR.md").read_text())
    return {str((VENDOR / name).resolve()): digest for name, digest in rows}


def test_vendored_files_are_as_listed() -> None:
    actual = {name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in listed()}
    assert actual == listed()


def test_every_vendored_file_is_listed() -> None:
    files = {str(path) for path in VENDOR.rglob("*") if path.is_file() and path.name != "VENDOR.md"}
    assert files <= set(listed())


def test_every_vendored_package_brings_its_licence() -> None:
    assert [folder.name for folder in VENDOR.iterdir() if folder.is_dir() and not (folder / "LICENSE").exists()] == []


@pytest.mark.parametrize("path", [*OWN_TEMPLATES, *OWN_STATIC], ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_refers_to_another_host(path: Path) -> None:
    assert re.findall(r"""(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}[^\s"']*""", path.read_text().replace(NAMESPACE, "")) == []


@pytest.mark.parametrize("path", OWN_TEMPLATES, ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_a_template_holds_no_inline_script_or_style(path: Path) -> None:
    inline = r"<style|\sstyle=|\son[a-z]+=|\shx-on|<script(?![^>]*\ssrc=)|javascript:|hx-(?:vals|headers)=['\"]js:"
    assert re.findall(inline, path.read_text(), re.IGNORECASE) == []


def icons_used(source: str) -> set[str]:
    tags = re.findall(r"""{% icon "([^"]+)\"""", source) + re.findall(
        r'icon_name="([^"]+)"|action_icon="([^"]+)"', source
    )
    return {name for found in tags for name in ([found] if isinstance(found, str) else found) if name}


def test_every_icon_a_template_names_is_in_the_sprite() -> None:
    sprite = set(re.findall(r'<symbol id="([^"]+)"', (STATIC / "icons.svg").read_text()))
    assert {name for path in OWN_TEMPLATES for name in icons_used(path.read_text())} - sprite == set()


def test_own_javascript_stays_small() -> None:
    assert sum(len(path.read_text().splitlines()) for path in (STATIC / "js").glob("*.js")) <= 900
