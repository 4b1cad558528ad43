"""bash(1), "Programmable Completion"."""

import shlex
from collections.abc import Iterable, Iterator

from tools.packaging.completions.words import GENERAL, SCRIPTS, Command, Option, Value

_TEMPLATE = r"""# liveso in bash
_liveso_values() { # KIND: lines, each a value, some with a tab and what it is
	case $1 in
@SCRIPTS@
	esac
}

_liveso_knows() { # COMMAND: whether there is one; its options, which of them take what, and its arguments
	case $1 in
@COMMANDS@
	*) return 1 ;;
	esac
}

_liveso_offer() { # KIND WORD: a kind, or "=" and words; what of it begins with WORD
	local kind=$1 word=$2 last=${COMP_WORDS[COMP_CWORD]} found=() it
	case $kind in
	file | folder)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -"${kind:0:1}" -- "$word")
		;;
	program) mapfile -t COMPREPLY < <(compgen -c -- "$word") ;;
	=*) read -ra found <<<"${kind#=}" ;;
	anything | "") ;;
	*) mapfile -t found < <(_liveso_values "$kind") ;;
	esac
	for it in "${found[@]}"; do
		printf -v it %q "${it%%$'\t'*}"
		[[ $it == "$word"* ]] && COMPREPLY+=("$it")
	done
	# a word begins anew behind these, but an "@" goes with what follows
	[[ $last == [=:] ]] && last=
	[[ ${word%"$last"} == *@ ]] && last=@$last
	COMPREPLY=("${COMPREPLY[@]#"${word%"$last"}"}")
}

_liveso() {
	local words=() it command= option= number=0 options=@GENERAL@ arguments=() more=
	local -A takes=()
	COMPREPLY=()
	for it in "${COMP_WORDS[@]:1:COMP_CWORD}"; do # bash has parted words at "=", ":" and "@"
		if [[ ${#words[@]} != 0 && $it && ($it == [=:@]* || ${words[-1]} == *[=:@]) ]]; then
			words[-1]+=$it
		else
			words+=("$it")
		fi
	done
	for it in "${words[@]:0:${#words[@]}-1}"; do
		if [[ $option ]]; then
			option=
		elif [[ $it == -* ]]; then
			[[ ${takes[$it]:-} ]] && option=$it
		elif [[ ! $command ]]; then
			_liveso_knows "$it" || return 0
			command=$it
		else
			((number += 1))
			[[ ${arguments[0]:-} == program ]] && break
		fi
	done
	it=${words[-1]}
	if [[ $option ]]; then
		_liveso_offer "${takes[$option]}" "$it"
	elif [[ ${arguments[0]:-} == program && $number != 0 ]]; then
		_liveso_offer file "$it"
	elif [[ $it == --*=* ]]; then
		_liveso_offer "${takes[${it%%=*}]:-}" "${it#*=}"
	elif [[ $it == -* ]]; then
		_liveso_offer "=$options" "$it"
	elif [[ ! $command ]]; then
		_liveso_offer @NAMES@ "$it"
	elif ((number < ${#arguments[@]})); then
		_liveso_offer "${arguments[number]}" "$it"
	elif [[ $more ]]; then
		_liveso_offer "${arguments[-1]}" "$it"
	fi
}

complete -F _liveso liveso
"""


def in_bash(commands: Iterable[Command]) -> str:
    known = list(commands)
    parts = {
        "SCRIPTS": "\n".join(f"\t{kind}) sh -c {shlex.quote(script)} ;;" for kind, script in SCRIPTS.items()),
        "COMMANDS": "\n".join(line for it in known for line in _lines(it)),
        "GENERAL": shlex.quote(_names(GENERAL)),
        "NAMES": shlex.quote("=" + " ".join(it.name for it in known)),
    }
    text = _TEMPLATE
    for name, part in parts.items():
        text = text.replace(f"@{name}@", part)
    return text


def _lines(it: Command) -> Iterator[str]:
    yield f"\t{it.name})"
    yield f"\t\toptions={shlex.quote(_names(it.options))}"
    taking = [f"[{name}]={shlex.quote(_kind(one.value))}" for one in it.options if one.value for name in one.names]
    if taking:
        yield f"\t\ttakes=({' '.join(taking)})"
    if it.arguments:
        yield f"\t\targuments=({' '.join(it.arguments)}) more={'yes' if it.has_more else ''}"
    yield "\t\t;;"


def _names(options: Iterable[Option]) -> str:
    return " ".join(name for it in options for name in it.names)


def _kind(value: Value) -> str:
    return f"={' '.join(value)}" if isinstance(value, tuple) else value
