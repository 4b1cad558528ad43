"""complete(1) of fish."""

from collections.abc import Iterable, Iterator

from tools.packaging.completions.words import GENERAL, SCRIPTS, Command, Kind, Option, Value

_TEMPLATE = r"""# liveso in fish
function __liveso_words # the command and its arguments, before the word that is completed
	set -l words
	set -l option
	for it in (commandline -opc)[2..-1]
		if set -q option[1]
			set -e option
		else if string match -q -- '-*' $it
			contains -- "$words[1] $it" @TAKING@; and set option $it
		else
			set -a words $it
			contains -- "$words[1]" @PROGRAMS@; and set -q words[2]; and break
		end
	end
	string join \n -- $words
end

function __liveso_is # COMMAND: whether an option of it may come
	set -l words (__liveso_words)
	test "$words[1]" = $argv[1]; or return
	not contains -- $argv[1] @PROGRAMS@; or not set -q words[2]
end

function __liveso_at # COMMAND NUMBER [more]: whether its argument of that number comes, or a later one
	set -l words (__liveso_words)
	test "$words[1]" = $argv[1]; or return
	test (count $words) -eq $argv[2]; or test "$argv[3]" = more -a (count $words) -gt $argv[2]
end

function __liveso_has_none
	test -z "$(__liveso_words)"
end

complete -c liveso -f
@COMPLETIONS@
"""
_OF_FISH = {
    Kind.ANYTHING: "-f",
    Kind.FILE: "-F",
    Kind.FOLDER: "-f -a '(__fish_complete_directories)'",
    Kind.PROGRAM: "-f -a '(__fish_complete_command)'",
}


def in_fish(commands: Iterable[Command]) -> str:
    known = list(commands)
    taking = [f"{it.name} {name}" for it in known for one in it.options if one.value for name in one.names]
    parts = {
        "TAKING": " ".join(map(_quoted, taking)),
        "PROGRAMS": " ".join(it.name for it in known if it.is_a_programs),
        "COMPLETIONS": "\n".join(
            [
                *(_option("__liveso_has_none", it) for it in GENERAL),
                *(f"complete -c liveso -n __liveso_has_none -a {it.name} -d {_quoted(it.help)}" for it in known),
                *(line for it in known for line in _lines(it)),
            ]
        ),
    }
    text = _TEMPLATE
    for name, part in parts.items():
        text = text.replace(f"@{name}@", part)
    return text


def _lines(it: Command) -> Iterator[str]:
    for option in it.options:
        yield _option(f"__liveso_is {it.name}", option)
    for number, kind in enumerate(it.arguments, 1):
        is_last = number == len(it.arguments)
        more = " more" if is_last and it.has_more and not it.is_a_programs else ""
        yield f"complete -c liveso -n '__liveso_at {it.name} {number}{more}' {_values(kind)}"
    if it.is_a_programs:
        yield f"complete -c liveso -n '__liveso_at {it.name} 2 more' -F"


def _option(condition: str, it: Option) -> str:
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in it.names)
    value = f" -r {_values(it.value)}" if it.value else ""
    return f"complete -c liveso -n {_quoted(condition)} {names} -d {_quoted(it.help)}{value}"


def _values(value: Value) -> str:
    if isinstance(value, tuple):
        return f"-f -a {_quoted(' '.join(value))}"
    return _OF_FISH.get(value) or f"-f -a {_quoted(f'(sh -c {_quoted(SCRIPTS[value])})')}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
