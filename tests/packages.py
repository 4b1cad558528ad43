"""Debian packages for the tests: downloaded once, unpacked below the cache folder, never installed."""

import os
import shutil
import subprocess
from pathlib import Path

LIBRARIES = "usr/lib/x86_64-linux-gnu"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "liveso-tests"


def package(name: str, version: str = "") -> Path:
    """The folder in which a package is unpacked. Raises CalledProcessError where apt does not have it."""
    folder = _CACHE / f"{name}_{version or 'candidate'}"
    if not folder.exists():
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        wanted = f"{name}={version}" if version else name
        if subprocess.run(["apt-get", "download", "-qq", wanted], cwd=partial, check=False).returncode != 0:
            subprocess.run(["apt-get", "update", "-qq"], check=True, stdout=subprocess.DEVNULL)
            subprocess.run(["apt-get", "download", "-qq", wanted], cwd=partial, check=True)
        archive = next(partial.glob("*.deb"))
        subprocess.run(["dpkg-deb", "-x", archive, partial], check=True)
        archive.unlink()
        partial.rename(folder)
    return folder
