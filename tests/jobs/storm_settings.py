"""Settings of the worker processes that the kill storm starts: its database, the scripted engine, short leases."""

import os

from tests import scripted_engine
from tests.jobs import scripted_kind
from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

DATABASES["default"]["NAME"] = os.environ["STORM_DATABASE"]
GPU_LANES = ["gpu0", "gpu1", "gpu2"]
JOB_LEASE_SECONDS, JOB_RENEW_SECONDS, JOB_POLL_SECONDS, JOB_MAX_ATTEMPTS = 3.0, 0.5, 0.2, 1000
ENGINE_COMMAND = scripted_engine.COMMAND
scripted_kind.install()
