"""Registers the scripted kind. Apart from its handler, because settings may not import models."""

from isengard.jobs.kinds import KINDS, Kind

KIND = "scripted"


def install() -> None:
    handler, answers = "tests.jobs.scripted.ScriptedHandler", frozenset({"save", "sample"})
    KINDS[KIND] = Kind("Scripted", handler, "gpu", "train", 5, 2.0, False, "jobs:queue", answers)
