"""Datasets in and out: archives of photos with everything said about them. Knows nothing of training."""
