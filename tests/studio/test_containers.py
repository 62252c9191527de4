"""The container files, as far as no Docker engine is needed: ports, health, secrets, names of settings."""

import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("isengard")]
LASTING = [name for name in SERVICES if name != "prepare"]


def test_only_the_web_publishes_a_port_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"web": ["127.0.0.1:${PORT:-8000}:8000"]}


def test_database_and_queue_are_on_a_network_without_a_way_out() -> None:
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert [SERVICES[name]["networks"] for name in ("db", "redis")] == [["inside"], ["inside"]]


@pytest.mark.parametrize("name", LASTING)
def test_every_lasting_service_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", OURS)
def test_every_variable_that_is_set_is_one_the_settings_read(name: str) -> None:
    source = (ROOT / "isengard" / "settings.py").read_text()
    unread = [key for key in SERVICES[name]["environment"] if f'"{key}"' not in source and key != "SECRET_KEY"]
    assert unread == []


def test_workers_get_time_to_save() -> None:
    assert {SERVICES[name]["stop_grace_period"] for name in OURS} == {"90s"}
    assert all(service["init"] for service in SERVICES.values())


def test_every_command_is_a_role_of_the_entry_point() -> None:
    entry = (ROOT / "deploy" / "entrypoint.sh").read_text()
    roles = {SERVICES[name]["command"][0] for name in OURS}
    assert roles == {"prepare", "web", "gpu0", "cpu", "beat"}
    assert "web | beat | cpu | gpu[0-9]*)" in entry


def test_no_secret_is_written_in_the_file() -> None:
    text = (ROOT / "docker-compose.yaml").read_text()
    given = re.findall(r"(?:PASSWORD|SECRET_KEY|REDISCLI_AUTH): (\S+)", text)
    assert given
    assert all(value.startswith("${") for value in given)


def test_every_volume_and_dependency_exists() -> None:
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    needed = {name for service in SERVICES.values() for name in service.get("depends_on", {})}
    assert used == set(COMPOSE["volumes"])
    assert needed <= set(SERVICES)


def test_generated_secrets_differ_and_are_private(tmp_path: Path) -> None:
    script = ["bash", str(ROOT / "deploy" / "secrets.sh"), "--nvidia"]
    subprocess.run(script, env={"PATH": "/usr/bin:/bin", "ISENGARD_ENV_DIR": str(tmp_path)}, check=True)
    lines = dict(line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines())
    secrets = [lines[name] for name in ("SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD")]
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert len(set(secrets)) == 3
    assert all(len(secret) >= 64 for secret in secrets)
    assert lines["COMPOSE_PROFILES"] == "nvidia"


def test_secrets_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("mine")
    script = ["bash", str(ROOT / "deploy" / "secrets.sh")]
    done = subprocess.run(script, env={"PATH": "/usr/bin:/bin", "ISENGARD_ENV_DIR": str(tmp_path)}, check=False)
    assert done.returncode == 1
    assert (tmp_path / ".env").read_text() == "mine"


def test_the_image_runs_as_an_ordinary_user() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER")] == ["USER isengard"]


@pytest.mark.parametrize("script", sorted((ROOT / "deploy").glob("*.sh")), ids=lambda path: str(path.name))
def test_every_script_is_valid_and_executable(script: Path) -> None:
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    assert script.stat().st_mode & stat.S_IXUSR
