"""Pocket: the tiny FLUX-shaped base model, the portraits it learned from and the script that makes it."""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
JUDGES = Path(__file__).parent / "judges"
