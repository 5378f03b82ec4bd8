"""What an operator starts from: as much of it as can be checked without the programs it is for."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
import yaml

from collab.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
TIMEOUT_S = 30
FOR_CADDY = {"COLLAB_SITE"}


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[redis.Redis]:
    """A Redis with our settings, on a socket of its own."""
    program = shutil.which("redis-server")
    assert program is not None
    listening = tmp_path / "redis.sock"
    process = subprocess.Popen(
        [program, DEPLOY / "redis.conf", "--port", "0", "--unixsocket", listening],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    client = redis.Redis(unix_socket_path=str(listening), decode_responses=True)
    try:
        deadline = time.monotonic() + TIMEOUT_S
        while not listening.exists():
            assert process.poll() is None, "Redis ended"
            assert time.monotonic() < deadline, "Redis does not start"
            time.sleep(0.01)
        yield client
    finally:
        client.close()
        process.kill()
        process.wait()


def test_redis_takes_its_settings(
    configured: redis.Redis,
) -> None:
    asked: Any = configured.config_get("appendonly", "appendfsync", "maxmemory-policy", "save")
    assert asked == {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
    }


def test_the_services_that_others_wait_for_tell_when_they_are_ready() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    waited_for = {
        name
        for service in services.values()
        for name in service.get("depends_on", ())
        if isinstance(service["depends_on"], dict)
    }
    assert waited_for == {"postgres", "redis"}
    assert all("healthcheck" in services[name] for name in waited_for)


def test_every_server_of_the_composition_is_behind_its_proxy() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    servers = {name for name, service in services.items() if service.get("image") == "collab"}
    proxied = re.findall(r"([\w-]+):8000", (DEPLOY / "Caddyfile").read_text())
    assert set(proxied) == servers


@pytest.mark.parametrize("name", sorted(each.name for each in DEPLOY.iterdir()))
def test_the_settings_that_are_named_exist(name: str) -> None:
    named = set(re.findall(r"COLLAB_[A-Z_]+", (DEPLOY / name).read_text()))
    assert named - FOR_CADDY <= {f"COLLAB_{field}".upper() for field in Settings.model_fields}


def test_the_image_is_made_of_files_that_exist() -> None:
    copied = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE
    )
    sources = {source for line in copied for source in line.split()}
    assert "pyproject.toml" in sources
    assert [source for source in sorted(sources) if not (ROOT / source).exists()] == []
