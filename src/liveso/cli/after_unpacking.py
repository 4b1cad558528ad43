import os
from collections.abc import Iterable

import click

from liveso.cli.unpacking import AFTER_LIMIT, ANSWER_WITHIN, RESULTS_WITHIN, quietly
from liveso.client.answer import rank
from liveso.client.ask import ask_daemon
from liveso.dpkg import number_of, shortened
from liveso.services.packages import PackagedLibrary, counted_services, cure, read_packages
from liveso.settings import read_settings
from liveso.text import printable

_MOST_CVES = 12  # that a line names


@click.command()
def after_unpacking() -> None:
    """What apt (DPkg::Post-Invoke) and dnf run when packages are unpacked: say what is in force in processes."""
    with quietly(AFTER_LIMIT):
        question = {"pid": str(os.getpid()), "wait": str(RESULTS_WITHIN)}
        answer = ask_daemon(read_settings(), "/unpacked", question, ANSWER_WITHIN)
        for line in lines(read_packages(answer)):
            print(printable(f"liveso: {line}"))
        if not answer.get("is_complete", True):
            print(
                f"liveso: not done within {RESULTS_WITHIN:.0f} s, and goes on: `liveso status` shows what comes of it"
            )


def lines(libraries: Iterable[PackagedLibrary]) -> list[str]:
    """What is in force, by package, and then what is not, by reason, too: the last lines are those that a person still
    sees when apt has ended."""
    done: dict[tuple[str, str], list[PackagedLibrary]] = {}
    left: dict[tuple[str, str, str], list[PackagedLibrary]] = {}
    for them in _by_process_and_package(libraries):
        behind = sorted((it for it in them if not _is_in_force(it)), key=lambda it: (rank(it.result), it.path))
        if behind:
            name = f"{os.path.basename(behind[0].path)}: " if len(them) > 1 else ""
            key = them[0].package, _versions(behind[0]), name + (behind[0].reason or behind[0].result)
            left.setdefault(key, []).extend(behind)
        else:
            done.setdefault((them[0].package, _versions(them[0])), []).extend(them)
    found = []
    for (package, versions), them in sorted(done.items()):
        cves = sorted({cve for it in them for cve in it.fixed.cves}, key=number_of)
        named = ", ".join(cves[:_MOST_CVES]) + (f" and {len(cves) - _MOST_CVES} more" if len(cves) > _MOST_CVES else "")
        services = counted_services(it.process for it in them)
        found.append(f"{package} {versions} in force: {services}{'   ' if named else ''}{named}")
    for (package, versions, reason), them in sorted(left.items()):
        processes = [it.process for it in them]
        found.append(f"{package} {versions} not in force: {counted_services(processes)}: {reason}; {cure(processes)}")
    return found


def _by_process_and_package(libraries: Iterable[PackagedLibrary]) -> Iterable[list[PackagedLibrary]]:
    """Of a package with several libraries, all must be in force in a process for it to be."""
    found: dict[tuple[int, str], list[PackagedLibrary]] = {}
    for it in libraries:
        found.setdefault((it.process.pid, it.package), []).append(it)
    return found.values()


def _is_in_force(it: PackagedLibrary) -> bool:
    return it.is_in_force and it.runs == it.on_disk


def _versions(it: PackagedLibrary) -> str:
    old, new = it.began, it.on_disk
    return shortened(old.package.version, new.package.version) if old and new else "(versions not known)"
