"""Folders and a network that only one command sees, so that tests use the paths of documents."""

import subprocess

import pytest

UNSHARE = ("unshare", "--map-root-user", "--mount", "--net")


def run_in_namespaces(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script of a shell that may mount what it likes. Skips where that is forbidden."""
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespaces for mounts and networks here")
    command = [*UNSHARE, "sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
