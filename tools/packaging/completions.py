"""Completions for shells: click's own, so that they speak as the click that is installed answers."""

import click
from click.shell_completion import get_completion_class

from liveso.cli import liveso

_PLACES = {
    "bash": "usr/share/bash-completion/completions/liveso",
    "zsh": "usr/share/zsh/vendor-completions/_liveso",
    "fish": "usr/share/fish/vendor_completions.d/liveso.fish",
}
_ASKED_BY = "_LIVESO_COMPLETE"


def completions() -> list[tuple[str, str]]:
    """Where each shell finds its own, and what that is."""
    return [(place, _source(shell)) for shell, place in _PLACES.items()]


def _source(shell: str) -> str:
    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"click {click.__version__} has no completion for {shell}")
    # not source(): that runs the shell, to see how old it is
    completion = found(liveso, {}, "liveso", _ASKED_BY)
    return completion.source_template % completion.source_vars()
