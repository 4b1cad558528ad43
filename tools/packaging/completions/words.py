"""What can follow `liveso` on a command line, as data that is the same for all shells."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import click

from liveso.cli import COMMANDS, liveso


class Kind(StrEnum):
    """What is written in a place. A shell knows the first ones itself; the others are listed by SCRIPTS."""

    ANYTHING = "anything"
    FILE = "file"
    FOLDER = "folder"
    PROGRAM = "program"
    """With its arguments, where it is not an option's value: all that follows is the program's."""
    COMMAND = "command"
    LIBRARY = "library"
    PACKAGE = "package"
    PROCESS = "process"
    SERVED = "served"
    UNIT = "unit"


SCRIPTS = {
    Kind.COMMAND: "cat /proc/[0-9]*/comm 2>/dev/null | sort -u",
    Kind.LIBRARY: r'liveso status 2>/dev/null | cut -f3 | sed "s|.*/||; /^-\$/d" | sort -u',
    Kind.PACKAGE: r'dpkg-query -W -f "\${Package}\n" 2>/dev/null | sort -u',
    Kind.PROCESS: r'for it in /proc/[0-9]*; do read -r name <"$it/comm" && printf "%s\t%s\n" "${it#/proc/}" "$name"; '
    "done 2>/dev/null",
    # the number of each process, what it runs, and the libraries' names
    Kind.SERVED: r'liveso status 2>/dev/null | while IFS="$(printf "\t")" read -r pid word path name at command _; do '
    r"program=${command%% *}; program=${program##*/}; "
    r'printf "%s\t%s\n%s\n%s\n" "$pid" "$program" "$program" "${path##*/}"; done | grep -v "^-" | sort -u',
    Kind.UNIT: "systemctl list-units --type=service,scope --plain --full --no-legend --no-pager 2>/dev/null "
    '| cut -d" " -f1',
}
"""For sh: the values, one a line, some with a tab and what they are."""
_BY_METAVAR = {
    "COMMAND": Kind.PROGRAM,
    "FILE": Kind.FILE,
    "FOLDER": Kind.FOLDER,
    "LIBRARY": Kind.LIBRARY,
    "NAME": Kind.ANYTHING,
    "N": Kind.ANYTHING,
    "NEW": Kind.FILE,
    "OLD": Kind.FILE,
    "PATH": Kind.FILE,
    "PID": Kind.PROCESS,
    "PID|NAME": Kind.SERVED,
    "PORT": Kind.ANYTHING,
    "PROGRAM": Kind.PROGRAM,
    "TIME": Kind.ANYTHING,
    "UNIT": Kind.UNIT,
    "UNIT[,UNIT]…": Kind.UNIT,
    "VERSION": Kind.ANYTHING,
}
_BY_OPTION = {"--command": Kind.COMMAND, "--package": Kind.PACKAGE}
"""Of which the metavar says less."""

Value = Kind | tuple[str, ...]
"""What is written there, or the words among which one is chosen."""


@dataclass(frozen=True, slots=True)
class Option:
    """`value` is None where it takes none."""

    names: tuple[str, ...]
    help: str
    value: Value | None
    is_repeated: bool


@dataclass(frozen=True, slots=True)
class Command:
    """`arguments` are what is written at each place, and `has_more` says whether the last of them may be repeated."""

    name: str
    help: str
    options: tuple[Option, ...]
    arguments: tuple[Kind, ...]
    has_more: bool

    @property
    def is_a_programs(self) -> bool:
        """Whether all that follows the first argument is the command line of a program."""
        return self.arguments[:1] == (Kind.PROGRAM,)


GENERAL = (
    Option(("--version",), "Show the version.", None, False),
    Option(("--help", "-h"), "Show what there is.", None, False),
)
"""What can stand before a command."""


def commands() -> list[Command]:
    top = click.Context(liveso, info_name="liveso", **liveso.context_settings)
    return [_command(top, name) for name in COMMANDS]


def _command(top: click.Context, name: str) -> Command:
    found = liveso.get_command(top, name)
    assert found is not None
    context = click.Context(found, info_name=name, parent=top)
    options, arguments, has_more = list[Option](), list[Kind](), False
    for it in found.get_params(context):
        if isinstance(it, click.Option):
            options += [] if it.hidden else _options(it)
        else:
            words = " ".join(it.get_usage_pieces(context)).split()
            has_more = any(word.endswith("...") for word in words)
            arguments += [_BY_METAVAR[word] for word in (_plain(word) for word in words) if word != "ARGS"]
    return Command(name, COMMANDS[name], tuple(options), tuple(arguments), has_more)


def _plain(word: str) -> str:
    return word.removesuffix("...").removeprefix("[").removesuffix("]")


def _options(it: click.Option) -> Iterator[Option]:
    said = " ".join((it.help or "").split())
    yield Option(tuple(it.opts), said, None if it.is_flag else _value(it), it.multiple)
    if it.secondary_opts:
        yield Option(tuple(it.secondary_opts), f"The contrary of {it.opts[0]}.", None, it.multiple)


def _value(it: click.Option) -> Value:
    """Fails for what is not known here: each option's value is to be thought of."""
    if isinstance(it.type, click.Choice):
        return tuple(str(one) for one in it.type.choices)
    return _BY_OPTION.get(it.opts[0]) or _BY_METAVAR[it.metavar or it.type.name.upper()]
