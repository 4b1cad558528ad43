"""Manual pages, from what `--help` and docs/ say (man(7))."""

import inspect
from collections.abc import Iterable, Iterator
from importlib.metadata import version

import click

from liveso.cli import COMMANDS, liveso
from tools.packaging.documented import Setting

_FILES = (
    ("/etc/liveso/liveso.toml", "root's settings, see liveso.toml(5); those of others are in ~/.config/liveso"),
    ("/run/liveso", "the sockets of root's daemon"),
    (
        "/var/cache/liveso",
        "the versions that root's daemon knows, and verdicts on them; those of others are in ~/.cache/liveso",
    ),
    ("/usr/lib/liveso/live.so", "what programs are started with (LD_PRELOAD)"),
)


def command_pages(exit_codes: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The name of each page of section 1, and its text."""
    codes = list(exit_codes)
    top = click.Context(liveso, info_name="liveso", **liveso.context_settings)
    yield "liveso", "".join(_page(top, codes))
    for name in COMMANDS:
        command = liveso.get_command(top, name)
        assert command is not None
        yield f"liveso-{name}", "".join(_page(click.Context(command, info_name=name, parent=top), codes))


def settings_page(settings: Iterable[Setting]) -> str:
    return "".join(
        [
            _head("liveso.toml", 5, "settings of liveso"),
            _section("Description"),
            _paragraph(
                "Root's settings are in /etc/liveso/liveso.toml, those of other users in ~/.config/liveso/liveso.toml. "
                "Variables of the environment go before the file, which goes before the defaults; an unknown setting "
                "or a wrong value is an error. Only root and the user may be able to change the file or its folders."
            ),
            _section("Settings"),
            *(
                _item(f"{it.variable}, {it.name}" if it.name else it.variable, _with_default(it.meaning, it.default))
                for it in settings
            ),
            _section("See also"),
            _paragraph("liveso(1), liveso-daemon(1)"),
        ]
    )


def _with_default(meaning: str, default: str) -> str:
    return f"{meaning}. Default: {default}." if default else f"{meaning}."


def _page(context: click.Context, exit_codes: Iterable[tuple[str, str]]) -> Iterator[str]:
    command = context.command
    name = context.command_path.replace(" ", "-")
    text = inspect.cleandoc(command.help or "").partition("\f")[0]
    summary, _, rest = text.partition("\n\n")
    summary = " ".join(summary.split())
    yield _head(name, 1, COMMANDS.get(context.info_name or "", summary).rstrip("."))
    yield _section("Synopsis")
    yield f".B {_escaped(context.command_path)}\n{_escaped(' '.join(command.collect_usage_pieces(context)))}\n"
    yield _section("Description")
    yield _paragraph(summary)
    for paragraph in rest.split("\n\n"):
        yield _paragraph(paragraph)
    yield _section("Options")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record:
            yield _item(*record)
    if context.parent is None:
        yield _section("Commands")
        for subcommand, line in COMMANDS.items():
            yield _item(f"liveso-{subcommand}(1)", line)
    yield _section("Exit status")
    for code, meaning in exit_codes:
        yield _item(code, meaning)
    if context.parent is None:
        yield _section("Files")
        for path, what in _FILES:
            yield _item(path, what)
    yield _section("See also")
    yield _paragraph("liveso(1), liveso.toml(5), ld.so(8)" if context.parent else "liveso.toml(5), ld.so(8)")


def _head(name: str, section: int, summary: str) -> str:
    title = f'.TH "{_escaped(name.upper())}" {section} "" "liveso {version("liveso")}" "liveso"\n'
    return f"{title}.SH NAME\n{_escaped(name)} \\- {_escaped(summary)}\n"


def _section(title: str) -> str:
    return f".SH {title.upper()}\n"


def _paragraph(text: str) -> str:
    """Nothing for no text. What click is told not to wrap (a line with "\\b") keeps its lines."""
    if not text.strip():
        return ""
    lines = text.strip().splitlines()
    if lines[0].strip() == "\b":
        return ".PP\n.nf\n" + "".join(f"{_escaped(line)}\n" for line in lines[1:]) + ".fi\n"
    return f".PP\n{_escaped(' '.join(text.split()))}\n"


def _item(term: str, text: str) -> str:
    return f".TP\n.B {_escaped(term)}\n{_escaped(' '.join(text.split()))}\n"


def _escaped(text: str) -> str:
    """`text` as roff shows it: no line of it is a request, and hyphens can be searched for."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text
