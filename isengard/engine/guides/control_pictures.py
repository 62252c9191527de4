"""From a photo to what a ControlNet keeps of it: edges by OpenCV, depth and pose by models from the machine's folder.

Knows pictures and those models; no base model, no job."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw
from safetensors import SafetensorError
from transformers import AutoImageProcessor, AutoModelForDepthEstimation, VitPoseForPoseEstimation

from isengard.engine.errors import EngineError

# The thresholds that the published edge ControlNets of FLUX are shown with.
EDGES = (100, 200)
BROKEN_MODEL = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)
# A joint that the model is less sure of is not drawn: OpenPose leaves it out, too.
SURE = 0.3
# OpenPose's 18 joints out of COCO's 17: the neck lies between the shoulders (5 and 6).
JOINTS = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
# Pairs of joints (by OpenPose's numbers) and the hue of each bone, all round the wheel, as ControlNets learnt them.
BONES = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10)),
    *((1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)


class Maker:
    """Makes control pictures of one kind. `model`: the folder of the model that finds depth or poses."""

    def __init__(self, kind: str, model: Path | None, device: torch.device) -> None:
        self.kind, self.device = kind, device
        self._processor: Any = None
        self._model: Any = None
        if model is not None:
            self._load(model)

    def _load(self, folder: Path) -> None:
        found = AutoModelForDepthEstimation if self.kind == "depth" else VitPoseForPoseEstimation
        try:
            self._processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
            self._model = found.from_pretrained(folder, local_files_only=True).to(self.device).eval()
        except BROKEN_MODEL as error:
            text = f"The model that finds the {self.kind} is damaged: {folder.name}. Put it there again."
            raise EngineError("guide_unreadable", text) from error

    def __call__(self, image: Image.Image) -> Image.Image:
        """The control picture, of the same size."""
        if self.kind == "depth":
            return self._depth(image)
        return self._pose(image) if self.kind == "pose" else edges(image)

    @torch.no_grad()
    def _depth(self, image: Image.Image) -> Image.Image:
        """Near is white."""
        pixels = self._processor(images=image, return_tensors="pt").to(self.device)
        depth = self._model(**pixels).predicted_depth[:, None].float()
        size = (image.height, image.width)
        whole = torch.nn.functional.interpolate(depth, size, mode="bicubic", align_corners=False)[0, 0]
        span = (whole.max() - whole.min()).clamp(min=torch.finfo(torch.float32).tiny)
        grey = ((whole - whole.min()) / span * 255).round().to("cpu", torch.uint8)
        return Image.fromarray(grey.numpy()).convert("RGB")

    @torch.no_grad()
    def _pose(self, image: Image.Image) -> Image.Image:
        """One person who fills the picture, as in portraits: the model is shown all of it."""
        boxes = [[[0.0, 0.0, float(image.width), float(image.height)]]]
        pixels = self._processor(images=image, boxes=boxes, return_tensors="pt").to(self.device)
        found = self._processor.post_process_pose_estimation(self._model(**pixels), boxes=boxes)[0][0]
        points = found["keypoints"].cpu().numpy()
        return skeleton(image.size, points, found["scores"].cpu().numpy())


def edges(image: Image.Image) -> Image.Image:
    """White lines on black (Canny)."""
    grey = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2GRAY)
    return Image.fromarray(cv2.Canny(grey, *EDGES)).convert("RGB")


def skeleton(size: tuple[int, int], points: np.ndarray, scores: np.ndarray) -> Image.Image:
    """COCO's 17 joints (x, y) in pixels, drawn as OpenPose draws a body: coloured bones on black."""
    joints = [_neck(points, scores) if coco is None else _joint(points, scores, coco) for coco in JOINTS]
    image = Image.new("RGB", size)
    draw, width = ImageDraw.Draw(image), max(round(max(size) / 128), 1)
    for index, (one, other) in enumerate(BONES):
        start, end = joints[one], joints[other]
        if start is not None and end is not None:
            draw.line([start, end], fill=_hue(index, len(BONES), 0.6), width=width)
    for index, joint in enumerate(joints):
        if joint is not None:
            draw.circle(joint, width, fill=_hue(index, len(joints), 1.0))
    return image


def _joint(points: np.ndarray, scores: np.ndarray, index: int) -> tuple[float, float] | None:
    return (float(points[index][0]), float(points[index][1])) if scores[index] >= SURE else None


def _neck(points: np.ndarray, scores: np.ndarray) -> tuple[float, float] | None:
    left, right = _joint(points, scores, 5), _joint(points, scores, 6)
    return ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2) if left and right else None


def _hue(index: int, count: int, light: float) -> tuple[int, int, int]:
    hue = np.array([[[round(180 * index / count), 255, round(255 * light)]]], np.uint8)
    red, green, blue = (int(part) for part in cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0])
    return red, green, blue
