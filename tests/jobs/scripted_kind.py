"""Registers the scripted kind. Apart from its handler, because settings may not import models."""

from isengard.jobs.kinds import KINDS, Kind

KIND = "scripted"


def install() -> None:
    KINDS[KIND] = Kind("Scripted", "tests.jobs.scripted.ScriptedHandler", "gpu", "train", 5, 2.0, False, "jobs:queue")
