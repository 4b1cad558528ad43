"""zshcompsys(1), `_arguments` and `_describe`."""

import re
import shlex
from collections.abc import Iterable, Iterator

from tools.packaging.completions.words import GENERAL, SCRIPTS, Command, Kind, Option, Value

_TEMPLATE = r"""#compdef liveso
_liveso_values() { # KIND
	local -a found
	case $1 in
@SCRIPTS@
	esac
	found=("${(@)found//\\/\\\\}")
	found=("${(@)found//:/\\:}")
	found=("${(@)found/$'\t'/:}")
	_describe -t $1 $1 found
}

_liveso() {
	local curcontext=$curcontext state
	local -a line names
	local -A opt_args
	_arguments -C -S @GENERAL@ '1: :->command' '*:: :->arguments' && return
	case $state in
	command)
		names=(
@NAMES@
		)
		_describe -t commands 'command of liveso' names
		;;
	arguments)
		curcontext=${curcontext%:*:*}:liveso-$words[1]:
		case $words[1] in
@COMMANDS@
		esac
		;;
	esac
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
	_liveso "$@"
else # read by hand
	compdef _liveso liveso
fi
"""
_ACTIONS = {
    Kind.ANYTHING: " ",
    Kind.FILE: "_files",
    Kind.FOLDER: "_files -/",
    Kind.PROGRAM: " _command_names -e",
}


def in_zsh(commands: Iterable[Command]) -> str:
    known = list(commands)
    parts = {
        "SCRIPTS": "\n".join(
            f'\t{kind}) found=("${{(@f)$(sh -c {shlex.quote(script)})}}") ;;' for kind, script in SCRIPTS.items()
        ),
        "GENERAL": " ".join(_option(it) for it in GENERAL),
        "NAMES": "\n".join(f"\t\t\t{shlex.quote(f'{it.name}:{it.help}')}" for it in known),
        "COMMANDS": "\n".join(
            f"\t\t{it.name}) _arguments -s -S {' '.join([*map(_option, it.options), *_arguments(it)])} ;;"
            for it in known
        ),
    }
    text = _TEMPLATE
    for name, part in parts.items():
        text = text.replace(f"@{name}@", part)
    return text


def _option(it: Option) -> str:
    said = re.sub(r"([\\\]\[:])", r"\\\1", it.help)
    together = f"({' '.join(it.names)})" if len(it.names) > 1 and not it.is_repeated else ""
    specs = []
    for name in it.names:
        value = (
            f"{'=' if name.startswith('--') else '+'}[{said}]:value:{_action(it.value)}" if it.value else f"[{said}]"
        )
        specs.append(shlex.quote(f"{'*' if it.is_repeated else together}{name}{value}"))
    return " ".join(specs)


def _arguments(it: Command) -> Iterator[str]:
    if it.is_a_programs:
        yield "'(-)1:program: _command_names -e' '*::arguments:_normal'"
        return
    for number, kind in enumerate(it.arguments, 1):
        is_last = number == len(it.arguments)
        yield shlex.quote(f"{'*' if is_last and it.has_more else number}:{kind}:{_action(kind)}")


def _action(value: Value) -> str:
    if isinstance(value, tuple):
        return f"({' '.join(value)})"
    return _ACTIONS.get(value, f" _liveso_values {value}")
