"""Libraries with one function whose instructions a test writes itself, so that each is there for certain."""

import subprocess
from pathlib import Path

TARGET = "aarch64-linux-gnu"

_FRAME = """
	.text
	.globl f
	.type f, %function
f:	.cfi_startproc
{code}
	ret
	.cfi_endproc
	.size f, .-f
{rest}
"""


def assembled_for_aarch64(folder: Path, code: str, rest: str, *flags: str) -> Path:
    """A library for AArch64: the function `f` does `code`, and `rest` comes behind it."""
    source, path = folder / "code.s", folder / "library.so"
    source.write_text(_FRAME.format(code=code, rest=rest))
    command = [f"{TARGET}-gcc", "-shared", "-nostdlib", *flags, str(source), "-o", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path
