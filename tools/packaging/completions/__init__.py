"""Completions for shells. They are made of what the program says of its commands, so that a Tab starts no Python; only
for the names of what a daemon serves `liveso status` is asked."""

from tools.packaging.completions.bash import in_bash
from tools.packaging.completions.fish import in_fish
from tools.packaging.completions.words import commands
from tools.packaging.completions.zsh import in_zsh

_SHELLS = {
    "usr/share/bash-completion/completions/liveso": in_bash,
    "usr/share/zsh/vendor-completions/_liveso": in_zsh,
    "usr/share/fish/vendor_completions.d/liveso.fish": in_fish,
}


def completions() -> list[tuple[str, str]]:
    """Where each shell finds its own, and what that is."""
    known = commands()
    return [(place, written(known)) for place, written in _SHELLS.items()]
