import subprocess
from pathlib import Path

import pytest

from tests.corpus.libraries import Build


@pytest.fixture
def build(tmp_path: Path) -> Build:
    def build(text: str, *flags: str, compiler: str = "gcc") -> Path:
        number = len(list(tmp_path.iterdir()))
        path = tmp_path / f"{number}.so"
        language = "c++" if compiler == "g++" else "c"
        command = [compiler, "-O1", "-shared", "-fPIC", "-Wl,-soname,libsubject.so", *flags, "-o", str(path)]
        subprocess.run([*command, "-x", language, "-"], input=text, text=True, check=True)
        return path

    return build
