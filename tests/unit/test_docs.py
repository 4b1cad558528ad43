"""What docs say of messages, settings and commands is what there is."""

import re
from pathlib import Path

import pytest

from liveso.cli import COMMANDS
from liveso.settings import VARIABLES

_ROOT = Path(__file__).parents[2]
_DOCS = _ROOT / "docs"


def _source() -> str:
    """All text of the program, as it is put together where it is written on several lines."""
    files = [*(_ROOT / "src").rglob("*.py"), *(_ROOT / "src").rglob("*.[ch]")]
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(it.read_text() for it in sorted(files)))


def _messages() -> list[str]:
    """Those of the tables' first column in docs/troubleshooting.md."""
    rows = [line.split("|")[1] for line in (_DOCS / "troubleshooting.md").read_text().splitlines() if line[:1] == "|"]
    return [message for row in rows for message in re.findall(r"`([^`]+)`", row)]


def test_each_message_that_is_explained_is_one_that_can_come() -> None:
    source, messages = _source(), _messages()
    assert len(messages) > 12
    unknown = [
        it for it in messages if not all(part in source for part in re.split(r"\s*…%?\s*", it) if len(part.strip()) > 4)
    ]
    assert not unknown


@pytest.mark.parametrize("variable", VARIABLES.values())
def test_each_setting_is_explained(variable: str) -> None:
    name = next(name for name, it in VARIABLES.items() if it == variable)
    assert f"| `{variable}` | `{name}` |" in (_DOCS / "settings.md").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_explained(command: str) -> None:
    assert re.search(rf"^    liveso {command}\b", (_DOCS / "commands.md").read_text(), re.M)


def test_each_link_leads_to_a_file() -> None:
    broken = []
    for file in [*_DOCS.rglob("*.md"), _ROOT / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", file.read_text()):
            if not (file.parent / target).exists():
                broken.append(f"{file.relative_to(_ROOT)}: {target}")
    assert not broken
