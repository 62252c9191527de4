"""The parts of drawing that need no base: boxes and soft edges, what is given, faces, enlarging."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from PIL import Image, ImageDraw

from isengard.engine.drawing import enlarge, faces, inputs, region, rrdb
from isengard.engine.drawing.region import Box
from isengard.engine.errors import EngineError
from isengard.engine.pocket.faces import sample_photos

GREY = Image.new("RGB", (40, 30), (100, 100, 100))
CPU = torch.device("cpu")


def saved(folder: Path, image: Image.Image, name: str = "given.png") -> str:
    image.save(folder / name)
    return str(folder / name)


def oval(size: tuple[int, int] = (40, 30)) -> Image.Image:
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).ellipse((10, 5, 30, 25), fill=255)
    return mask


def test_outside_the_mask_not_one_pixel_changes() -> None:
    new, share = Image.new("RGB", (40, 30), "white"), region.softened(oval(), 4)
    result = np.asarray(region.pasted(GREY, new, (0, 0, 40, 30), share))
    outside = np.asarray(oval()) == 0
    assert (result[outside] == 100).all() and (result[15, 20] == 255).all()


def test_the_edge_is_soft_inside_the_mask() -> None:
    share = region.softened(oval(), 4)[15, 10:21]
    assert (np.diff(share) >= 0).all() and 0 < share[1] < 0.5 and share[-1] == 1


def test_a_thin_mask_is_still_fully_drawn_in_its_middle() -> None:
    line = Image.new("L", (40, 30), 0)
    ImageDraw.Draw(line).rectangle((0, 14, 39, 17), fill=255)
    assert region.softened(line, 16).max() == 1


def test_the_edge_of_the_picture_is_no_edge_of_the_mask() -> None:
    left = Image.new("L", (40, 30), 0)
    left.paste(255, (0, 0, 20, 30))
    assert region.softened(left, 4)[15, 0] == 1


@pytest.mark.parametrize("size", [(1000, 700), (10, 300), (96, 96)])
def test_a_part_is_drawn_at_about_the_base_s_own_area(size: tuple[int, int]) -> None:
    width, height = region.native(size, 96, 8)
    assert not width % 8 and not height % 8 and 0.7 < width * height / 96**2 < 1.4


def test_a_picture_is_drawn_at_its_own_size_where_the_base_can() -> None:
    assert region.workable((104, 96), 96, 8) == (104, 96)
    assert region.workable((960, 960), 96, 8) == (192, 192)


def test_a_box_at_the_edge_stays_inside() -> None:
    assert Box(-5.5, 3.2, 12.1, 99).within((40, 30)) == (0, 3, 13, 30)


def test_a_mask_painted_on_a_smaller_copy_fits(tmp_path: Path) -> None:
    given = {"mask": saved(tmp_path, oval())}
    assert inputs.mask(given, (80, 60)).size == (80, 60)


def test_a_mask_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"40 × 30.*50 × 50"):
        inputs.mask({"mask": saved(tmp_path, oval())}, (50, 50))


def test_an_empty_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="Nothing is painted"):
        inputs.mask({"mask": saved(tmp_path, Image.new("L", (40, 30), 0))}, (40, 30))


def test_what_a_brush_painted_on_glass_is_the_mask(tmp_path: Path) -> None:
    glass = Image.new("RGBA", (40, 30), (255, 255, 255, 0))
    glass.paste((255, 255, 255, 255), (4, 4, 9, 9))
    assert inputs.mask({"mask": saved(tmp_path, glass)}, (40, 30)).getbbox() == (4, 4, 9, 9)


def test_a_broken_picture_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(EngineError, match="cannot be read"):
        inputs.picture({"source": str(tmp_path / "broken.png")})


@pytest.mark.parametrize("given", [{}, {"source": "/nowhere/at/all.png"}])
def test_a_picture_that_is_not_there_is_a_sentence(given: dict[str, str]) -> None:
    with pytest.raises(EngineError) as caught:
        inputs.picture(given)
    assert caught.value.code == "input_missing"


def test_transparent_parts_of_a_picture_become_white(tmp_path: Path) -> None:
    glass = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert inputs.picture({"source": saved(tmp_path, glass)}).getpixel((2, 2)) == (255, 255, 255)


def test_two_portraits_side_by_side_are_two_faces_from_left_to_right() -> None:
    both = Image.new("RGB", (512, 256))
    for index, (_, photo, _) in enumerate(sample_photos(256, 2)):
        both.paste(photo, (256 * index, 0))
    left, right = faces.two(both)
    assert left.right < 256 < right.left


def test_a_picture_without_faces_has_none() -> None:
    assert faces.find(GREY.resize((300, 300))) == []
    with pytest.raises(EngineError, match="Two faces"):
        faces.two(GREY.resize((300, 300)))


def test_a_detector_that_is_none_leaves_it_to_the_cascades(tmp_path: Path) -> None:
    (tmp_path / "yunet.onnx").write_text("<html>not found</html>")
    _, photo, _ = sample_photos(256, 1)[0]
    assert faces.find(photo, str(tmp_path / "yunet.onnx")) == faces.find(photo)


def weights(scale: int, names: str = "new") -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    made = rrdb.Upscaler(8, 4, 2, 4 // scale).state_dict()
    return {(_first_name(name) if names == "old" else name): tensor for name, tensor in made.items()}


def _first_name(name: str) -> str:
    """As the first ESRGAN files called it."""
    parts = name.split(".")
    if parts[0] == "body":
        return f"model.1.sub.{parts[1]}.{parts[2].upper()}.{parts[3]}.0.{parts[4]}"
    place = {"conv_first": "0", "conv_body": "1.sub.2", "conv_up1": "3", "conv_up2": "6", "conv_hr": "8"}
    return f"model.{place.get(parts[0], '10')}.{parts[1]}"


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_an_upscaling_model_enlarges_by_its_own_scale(tmp_path: Path, scale: int) -> None:
    torch.save({"params_ema": weights(scale)}, tmp_path / "toy.pth")
    model = rrdb.load(tmp_path / "toy.pth", CPU)
    assert model.scale == scale and model(torch.rand(1, 3, 7, 9)).shape == (1, 3, 7 * scale, 9 * scale)


def test_both_names_of_its_weights_are_the_same_model(tmp_path: Path) -> None:
    pixels, made = torch.rand(1, 3, 6, 6), []
    for names in ("old", "new"):
        torch.save(weights(4, names), tmp_path / f"{names}.pth")
        made.append(rrdb.load(tmp_path / f"{names}.pth", CPU)(pixels))
    assert torch.equal(*made)


def test_a_large_picture_goes_through_it_in_tiles_without_seams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(weights(2), tmp_path / "toy.pth")
    photo = sample_photos(64, 1)[0][1]
    whole, label = enlarge.enlarged(photo, (128, 128), str(tmp_path / "toy.pth"), CPU)
    monkeypatch.setattr(enlarge, "TILE", 24)
    tiled, _ = enlarge.enlarged(photo, (128, 128), str(tmp_path / "toy.pth"), CPU)
    assert np.abs(np.asarray(whole, int) - np.asarray(tiled, int)).max() <= 1
    assert label == "model toy"


def test_without_a_model_it_is_lanczos_and_says_so() -> None:
    larger, label = enlarge.enlarged(GREY, (80, 60), "", CPU)
    assert larger.size == (80, 60) and label.startswith("Lanczos")


def test_a_file_that_is_no_upscaler_is_a_sentence(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(EngineError, match=r"other\.pth is no upscaling model"):
        rrdb.load(tmp_path / "other.pth", CPU)


def test_a_file_that_would_run_code_is_not_run(tmp_path: Path) -> None:
    torch.save({"conv_first.weight": Path("/tmp")}, tmp_path / "evil.pth")
    with pytest.raises(EngineError, match="no upscaling model"):
        rrdb.load(tmp_path / "evil.pth", CPU)
