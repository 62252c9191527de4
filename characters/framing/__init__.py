"""Crops and masks: which part of a photo is trained on. Knows nothing of training."""
