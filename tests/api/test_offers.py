"""What /api/info says of pictures: tools, guides and speeds, each with its reason, and no folder of the server."""

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from isengard.engine import tools


def test_info_lists_every_tool_with_its_knobs(api: APIClient, db: None) -> None:
    offered = api.get("/api/info").json()["image_generation"]
    assert set(offered["tools"]) == set(tools.TOOLS)
    assert "denoise" in offered["tools"]["inpaint"]["parameters"]
    assert set(offered["guides"]) == {"control.canny", "control.depth", "control.pose", "reference"}


def test_info_names_no_folder_of_this_server(
    api: APIClient, db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isengard.health.default_key", lambda: "flux-dev")
    assert str(settings.MODELS_DIR) not in json.dumps(api.get("/api/info").json())
