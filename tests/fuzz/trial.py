"""What is done with a damaged library: all that the daemon and `liveso check` do with one."""

from pathlib import Path

from liveso.compare.initial import changed_words
from liveso.elf import Image, read_image
from liveso.errors import ImageError
from liveso.store.prepare import prepare
from liveso.verdict import DebugSource, KeptVerdicts, Policy, analyse_pair, summarise
from liveso.verdict.judge import JUDGING_FAILED

_NOT_KEPT = KeptVerdicts(Path("/proc/self/verdicts"))
_NO_FOLDERS = DebugSource(folders=())


class Failed(Exception):
    """A judgement was made that is no answer."""


def try_out(whole: Image, damaged: bytes) -> bool:
    """Read, prepare and judge a damaged copy of a library; False where it cannot be read. Raises Failed, or whatever
    went wrong."""
    try:
        image = read_image(damaged)
    except ImageError as error:
        _check(str(error))
        return False
    try:
        prepare(image)
        if image.relocations_offset and image.relocations_offset[0] >= 0:
            prepare(image, frozenset({0}), keeps_block=True)
    except ImageError as error:
        _check(str(error))
    for old, new in ((whole, image), (image, whole)):
        found = analyse_pair(old, new, _NOT_KEPT, Policy.STRICT, _NO_FOLDERS)
        for finding in found.verdict.findings:
            _check(finding.text)
            if finding.rule == JUDGING_FAILED and "ended with" in finding.text:
                raise Failed(finding.text)
        changes = summarise(old, new)
        if "ended with" in changes.problem:
            raise Failed(changes.problem)
        if found.verdict.correspondence is not None:
            changed_words(old, new, found.verdict.correspondence)
    return True


def _check(message: str) -> None:
    if not message or not message.isprintable():
        raise Failed(f"a message that cannot be shown: {message!r}")
