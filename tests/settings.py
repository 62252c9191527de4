"""The studio's own settings with a fast password hasher and every file below a temporary folder.

The folder's name travels in the environment, so that processes a test starts see the same files, and each xdist worker
has a subfolder, a cache prefix and a channel prefix of its own."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

if "ISENGARD_TEST_ROOT" not in os.environ:
    os.environ["ISENGARD_TEST_ROOT"] = tempfile.mkdtemp(prefix="isengard-test-")
    atexit.register(shutil.rmtree, os.environ["ISENGARD_TEST_ROOT"], ignore_errors=True)

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
os.environ["VOLUME_ROOT"] = str(Path(os.environ["ISENGARD_TEST_ROOT"]).resolve() / WORKER)
for name in ("STATE_DIR", "LOG_DIR", "MODELS_DIR"):
    os.environ.pop(name, None)

from isengard.settings import *  # noqa: E402, F403
from isengard.settings import CACHES, CELERY_BROKER_TRANSPORT_OPTIONS, CHANNEL_LAYERS  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CACHES["default"]["KEY_PREFIX"] = f"test-{WORKER}"
CHANNEL_LAYERS["default"]["CONFIG"]["prefix"] = f"test-{WORKER}"
# Bells of one xdist worker must not wake the Celery workers that another has started.
CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"] = f"test-{WORKER}:"
