"""The doctor: judges photos and says what to do about each finding. Knows nothing of training."""
