"""/etc/liveso/liveso.toml: every setting, explained, and commented out at its default."""

import json
import textwrap
from collections.abc import Iterable, Iterator

from liveso.settings import defaults
from tools.packaging.documented import Setting

_WIDTH = 100
_ROOT = 0
_HEAD = """\
# Settings of root's liveso. Each stands here with its default: take the "#" in front of a name away to
# change it, and run `systemctl restart liveso`. Patterns that have colons between them can also be a
# list: ["libfoo*", "/opt/*"]. An unknown setting or a wrong value is an error. See liveso.toml(5).
"""


def settings_file(documented: Iterable[Setting]) -> str:
    return "\n".join([_HEAD, *_paragraphs(documented)])


def _paragraphs(documented: Iterable[Setting]) -> Iterator[str]:
    values = defaults({}, _ROOT)
    for it in documented:
        if it.name:
            meaning = it.meaning.removesuffix(". Read by the daemon")
            text = textwrap.fill(
                f"{meaning[0].upper()}{meaning[1:]}.",
                _WIDTH,
                initial_indent="# ",
                subsequent_indent="# ",
                break_long_words=False,
                break_on_hyphens=False,
            )
            # what JSON writes for numbers and texts is TOML
            yield f"{text}\n#{it.name} = {json.dumps(values[it.name], ensure_ascii=False)}\n"
