"""What this machine is, read without torch, and what it therefore offers."""

from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from isengard.engine import capabilities, catalog, offers
from isengard.engine.capabilities import MIB, Capabilities, parse_gpus, visible, why_not_cuda

TABLE = "0, NVIDIA H200, 143771, 4, 9.0, GPU-aaa\n1, Tesla V100-SXM2-16GB, 16384, 100, 7.0, GPU-bbb\n"


def machine(**facts: object) -> Capabilities:
    return replace(capabilities.probe(), **facts)  # type: ignore[arg-type]


def test_memory_and_processors_are_this_machines() -> None:
    found = capabilities.probe()
    assert found.ram_bytes == psutil.virtual_memory().total and found.cpus == len(psutil.Process().cpu_affinity())


def test_a_second_look_within_five_seconds_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities.time, "monotonic", lambda: 1001.0)
    first = capabilities.probe()
    assert capabilities.probe() is first


def test_a_look_after_five_seconds_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities.time, "monotonic", lambda: 1001.0)
    first = capabilities.probe()
    monkeypatch.setattr(capabilities.time, "monotonic", lambda: 1006.0)
    assert capabilities.probe() is not first


def test_gpus_are_read_from_the_drivers_table() -> None:
    first, second = parse_gpus(TABLE)
    assert (first.name, first.vram_bytes, second.compute) == ("NVIDIA H200", 143771 * MIB, (7, 0))


def test_a_line_that_cannot_be_read_is_left_out() -> None:
    assert [gpu.index for gpu in parse_gpus("0, MIG, [N/A], [N/A], 9.0, GPU-x\n" + TABLE)] == [0, 1]


def test_a_driver_that_does_not_answer_means_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "nvidia-smi"
    slow.write_text("#!/bin/sh\nexec sleep 20\n")
    slow.chmod(0o755)
    monkeypatch.setattr(capabilities, "NVIDIA_SMI", (str(slow),))
    monkeypatch.setattr(capabilities, "NVIDIA_SMI_TIMEOUT", 0.2)
    assert capabilities.nvidia_gpus() == ()


@pytest.mark.parametrize(
    ("wanted", "indices"), [(None, [0, 1]), ("1", [1]), ("1,0", [1, 0]), ("GPU-bbb", [1]), ("-1", []), ("", [])]
)
def test_only_the_gpus_that_a_program_may_see_count(wanted: str | None, indices: list[int]) -> None:
    assert [gpu.index for gpu in visible(parse_gpus(TABLE), wanted)] == indices


def test_a_gpu_with_a_torch_without_cuda_is_explained() -> None:
    assert "build without CUDA" in why_not_cuda(parse_gpus(TABLE), "2.13.0+cpu", "")


def test_a_gpu_with_the_right_torch_needs_no_explanation() -> None:
    assert why_not_cuda(parse_gpus(TABLE), "2.13.0", "13.0") == ""


def test_torch_is_recognised_without_importing_it() -> None:
    assert capabilities.torch_version().endswith("+cpu") == (capabilities.torch_cuda() == "")


def test_pocket_runs_on_any_machine(tmp_path: Path) -> None:
    assert offers.why_not_train(catalog.get("pocket"), tmp_path, machine(device="cpu")) == ""


def test_a_large_base_without_a_gpu_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(catalog, "missing_parts", lambda folder: ())
    (tmp_path / "flux-dev").mkdir()
    (tmp_path / "flux-dev" / "model_index.json").touch()
    assert "needs an NVIDIA GPU" in offers.why_not(catalog.get("flux-dev"), tmp_path, machine(device="cpu", note=""))


def test_a_gpu_that_is_too_small_says_how_much_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(catalog, "why_missing", lambda key, models_dir: "")
    small = machine(device="cuda", name="Tesla V100", vram_bytes=12 << 30)
    assert "Tesla V100 has 12" in offers.why_not(catalog.get("flux-dev"), tmp_path, small)


def test_a_gpu_that_holds_flux_in_8_bits_can_draw_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(catalog, "why_missing", lambda key, models_dir: "")
    fair = machine(device="cuda", name="NVIDIA RTX 4090", vram_bytes=24 << 30)
    assert offers.why_not(catalog.get("flux-dev"), tmp_path, fair) == ""


@pytest.mark.parametrize("key", list(catalog.BASES))
def test_what_is_not_offered_has_a_reason(tmp_path: Path, key: str) -> None:
    offered = offers.image(key, tmp_path)
    parts = [offered[part].values() for part in ("toggles", "tools", "guides", "speeds")]
    for feature in (*offers.features(tmp_path).values(), *(one for part in parts for one in part)):
        assert feature["supported"] or feature["reason"]


def test_pocket_has_every_tool_and_no_guide(tmp_path: Path) -> None:
    offered = offers.image("pocket", tmp_path)
    assert all(tool["supported"] for tool in offered["tools"].values())
    assert {name for name, guide in offered["guides"].items() if guide["supported"]} == set()
    assert {name for name, speed in offered["speeds"].items() if speed["supported"]} == {"exact"}


def test_a_knob_of_drawing_that_only_other_bases_have_is_refused_with_the_reason() -> None:
    assert "Pocket" in offers.unwired_drawing("pocket")["speed"]
    assert offers.unwired_drawing("flux-dev") == {}


def test_every_knob_is_wired_or_says_why_not(tmp_path: Path) -> None:
    offered = offers.training("pocket", tmp_path)
    assert all(schema["wired"] for schema in offered["parameters"].values())
    assert all(not schema["wired"] and schema["reason"] for schema in offered["unavailable_parameters"].values())


def test_only_bases_that_can_be_used_now_are_variants(tmp_path: Path) -> None:
    assert offers.image("pocket", tmp_path)["model_variants"] == ["pocket"]
