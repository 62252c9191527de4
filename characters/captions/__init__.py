"""Captions: versions, bulk edits, templates, captioning models, the trigger word. Knows nothing of training."""
