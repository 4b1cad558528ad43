"""What needs a restart, and what mends it: from memory maps, control groups, and what systemd and daemons say."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from liveso.cli.nagios import CRITICAL, OK, WARNING, report
from liveso.cli.restart import choose
from liveso.client.answer import read_status
from liveso.client.claims import Claim, is_in_force, is_unfinished, why_not
from liveso.errors import Declined
from liveso.places import Kind, Place, owner_of_session, place_of
from liveso.process.memory_map import MappedFile, Mapping, mappings
from liveso.services.disk import Disk
from liveso.services.mending import Mend, Way, mend
from liveso.services.needs import Need, Reason, Seen, needs
from liveso.services.outdated import is_never_updated, of_liveso, outdated
from liveso.services.overview import services
from liveso.services.standing import Standing, headline
from liveso.services.systemd import Unit, read_units
from tests.harness import seen_from_here

USER = 4_000_000  # nobody's


def mapping(path: str, inode: int = 7, protection: int = 5) -> Mapping:
    return Mapping(0x1000, 0x2000, protection, False, 0, MappedFile("fe:00", inode, path))


COUNTED = {
    "/usr/lib/libssl.so.3 (deleted)": True,
    "/usr/sbin/nginx (deleted)": True,
    "/usr/lib/libz.so.1.3": True,
    "/usr/lib/libz.so.1.2": False,
    "/memfd:runtime (deleted)": False,
    "/dev/zero (deleted)": False,
    "/SYSV0052e2c1 (deleted)": False,
    "/[aio] (deleted)": False,
    "/var/lib/#1234 (deleted)": False,
    "/home/bob/orcexec.aBc123 (deleted)": False,
    "/tmp/jit-1234 (deleted)": False,
    "/tmp/build/libown.so (deleted)": True,
    "/var/cache/liveso/9c/" + "a" * 64 + "/carried/libone.so (deleted)": False,
    "/home/bob/.cache/liveso/9c/" + "a" * 64 + "/4/libone.so (deleted)": False,
    "/store/anything (deleted)": False,
    "/opt/old/live.so (deleted)": False,
    "[heap]": False,
}


@pytest.mark.parametrize(("path", "counts"), COUNTED.items())
def test_files_of_which_a_process_runs_old_code(path: str, counts: bool) -> None:
    def found(it: Mapping) -> list[str]:
        there = {"/tmp/build/libown.so"}.__contains__
        return [each.path for each in outdated([it, it], lambda it: it.file.path.endswith(".3"), there, "/store")]

    assert found(mapping(path)) == [path] * counts
    assert found(mapping(path, protection=1)) == [] and found(mapping(path, inode=0)) == []


def test_files_of_liveso_are_told_from_others() -> None:
    copy = "/memfd:liveso/9c/" + "a" * 64 + "/4/libone.so (deleted)"
    paths = [copy, "/usr/lib/liveso/live.so", "/store/x", "/usr/lib/libz.so.1"]
    found = of_liveso([mapping(path, number + 1) for number, path in enumerate(paths)], "/store")
    assert [it.path for it in found] == paths[:3]
    never = ["/lib/ld-linux-x86-64.so.2", "/lib/libc.so.6", "/lib/libc-2.31.so", "/lib/ld-2.31.so"]
    assert all(map(is_never_updated, never))
    assert not any(map(is_never_updated, ["/lib/libcrypto.so.3", "/lib/libcap.so.2", "/lib/libldap.so.2"]))


SLICE = ("user.slice", "user-1000.slice")
MANAGER = (*SLICE, "user@1000.service")
DOCKER = "docker-" + "0123456789abcdef" * 4 + ".scope"
PLACES = [
    (("system.slice", "nginx.service"), "", Place(Kind.SERVICE, "nginx.service")),
    (("system.slice", "system-getty.slice", "getty@tty1.service"), "", Place(Kind.SERVICE, "getty@tty1.service")),
    (("system.slice", "own.service", "made-up.service"), "", Place(Kind.SERVICE, "own.service")),
    (("system.slice", "own.service", *MANAGER, "x.service"), "", Place(Kind.SERVICE, "own.service")),
    (("system.slice", "private.service"), "4026532000", Place(Kind.SERVICE, "private.service")),
    ((*MANAGER, "app.slice", "gpg.service"), "", Place(Kind.USER_SERVICE, "gpg.service", 1000)),
    ((*MANAGER, "init.scope"), "", Place(Kind.MANAGER, "user@1000.service", 1000)),
    ((*MANAGER, "app.slice", "app-firefox-1.scope"), "", Place(Kind.COMMAND, "program", USER)),
    ((*SLICE, "session-3.scope"), "", Place(Kind.SESSION, "session-3.scope", 1000)),
    (("init.scope",), "", Place(Kind.MANAGER, "init.scope")),
    (
        ("system.slice", DOCKER),
        "0123",
        Place(Kind.CONTAINER, "0123456789ab", None, ("docker", "restart", "0123456789ab")),
    ),
    (
        ("machine.slice", r"machine-my\x2dbox.scope", "x.service"),
        "my",
        Place(Kind.CONTAINER, "my-box", None, ("machinectl", "reboot", "my-box")),
    ),
    (("kubepods.slice", "cri-containerd-12.scope"), "12", Place(Kind.CONTAINER, "12")),
    ((), "4026532000", Place(Kind.CONTAINER, "4026532000")),
    ((), "", Place(Kind.COMMAND, "program", USER)),
]


@pytest.mark.parametrize(("units", "container", "place"), PLACES)
def test_what_a_process_is_started_with(units: tuple[str, ...], container: str, place: Place) -> None:
    assert place_of(units, container, USER, "program") == place


def test_a_user_is_believed_of_their_sessions_only() -> None:
    assert owner_of_session((*SLICE, "session-3.scope")) == owner_of_session(MANAGER) == 1000
    assert owner_of_session(("system.slice", "www.service", *SLICE)) is None
    assert owner_of_session(("user.slice",)) is None and owner_of_session(()) is None


def unit(name: str, reload: str, main: int = 1) -> Unit:
    return Unit(name, main_pid=main, type="notify", can_reload=True, reload=reload)


HUP, USR2 = "{ argv[]=/bin/kill -HUP $MAINPID ; }", "{ argv[]=/bin/kill -USR2 $MAINPID ; }"
NGINX = "{ argv[]=/usr/sbin/nginx -g daemon on; -s reload ; }"
RELOADS = [
    (unit("ssh.service", HUP), {1}, True),
    (unit("ssh.service", HUP), {1, 2}, False),  # a connection that is its own process goes on
    (unit("ssh.service", ""), {1}, False),
    (replace(unit("ssh.service", HUP), can_reload=False), {1}, False),
    (unit("php8.2-fpm.service", USR2), {1, 2, 3}, True),
    (unit("haproxy.service", USR2), {1, 2}, True),
    (unit("nginx.service", NGINX), {2, 3}, True),
    (unit("nginx.service", NGINX), {1, 2, 3}, False),  # it forks new workers from what it has itself
    (unit("nginx.service", NGINX, main=0), {2, 3}, False),
    (unit("unknown.service", HUP), {1}, False),
]


@pytest.mark.parametrize(("known", "pids", "is_enough"), RELOADS)
def test_a_reload_is_enough_where_it_makes_the_processes_anew(known: Unit, pids: set[int], is_enough: bool) -> None:
    found = mend(Place(Kind.SERVICE, known.name), pids, known, 0)
    word = "reload" if is_enough else "restart"
    assert (found.way, found.command) == (Way(word), ("systemctl", word, known.name))


MENDS = [
    (Place(Kind.SERVICE, "x.service"), None, Way.RESTART, "systemctl restart x.service"),
    (Place(Kind.SERVICE, "dbus.service"), None, Way.REBOOT, "reboot: dbus.service is not to be restarted by itself"),
    (Place(Kind.SERVICE, "x.service"), Unit("x.service", refuses=True), Way.REBOOT, "reboot: x.service is"),
    (Place(Kind.SERVICE, "x.service"), Unit("x.service", type="oneshot"), Way.WAIT, "x.service ends by itself"),
    (Place(Kind.SERVICE, "gdm.service"), None, Way.RESTART, "systemctl restart gdm.service (ends sessions)"),
    (Place(Kind.MANAGER, "init.scope"), None, Way.REEXECUTE, "systemctl daemon-reexec"),
    (
        Place(Kind.MANAGER, "user@5.service", USER),
        None,
        Way.REEXECUTE,
        f"systemctl --user --machine={USER}@ daemon-reexec",
    ),
    (Place(Kind.USER_SERVICE, "x.service", 0), None, Way.RESTART, "systemctl --user restart x.service"),
    (Place(Kind.USER_SERVICE, "x.service", USER), None, Way.RESTART, f"systemctl --user --machine={USER}@ restart x"),
    (Place(Kind.USER_SERVICE, "dbus.service", 0), None, Way.LOG_OUT, "root logs out of every session"),
    (Place(Kind.SESSION, "session-3.scope", 0), None, Way.LOG_OUT, "root logs out of session-3"),
    (Place(Kind.CONTAINER, "web", None, ("podman", "restart", "web")), None, Way.CONTAINER, "podman restart web"),
    (Place(Kind.CONTAINER, "12"), None, Way.CONTAINER, "restart the container 12"),
    (Place(Kind.COMMAND, "program", 0), None, Way.START_AGAIN, "end and start program again"),
]


@pytest.mark.parametrize(("place", "known", "way", "text"), MENDS)
def test_the_mildest_thing_that_mends_it(place: Place, known: Unit | None, way: Way, text: str) -> None:
    found = mend(place, {20}, known, 0)
    assert found.way is way and found.text.startswith(text)
    assert bool(found.command) == (way in (Way.RESTART, Way.REEXECUTE) or bool(place.tool))


def test_what_systemctl_says_is_read() -> None:
    text = (
        "Id=ssh.service\nNames=ssh.service sshd.service\nMainPID=812\nType=notify\nCanReload=yes\n"
        "ExecReload={ path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd -t ; }\n"
        "ExecReload={ argv[]=/bin/kill -HUP $MAINPID ; }\nRefuseManualStop=no\nRefuseManualStart=no\n\n"
        "Id=dbus.service\nMainPID=[not set]\nRefuseManualStart=yes\n\nnonsense\n"
    )
    found = read_units(text)
    assert found["sshd.service"] is found["ssh.service"] and found.keys() == {
        "ssh.service",
        "sshd.service",
        "dbus.service",
    }
    assert found["ssh.service"].main_pid == 812 and "-HUP" in found["ssh.service"].reload
    assert found["dbus.service"] == Unit("dbus.service", refuses=True)
    assert read_units("") == {}


REASON = Reason("/lib/libssl.so.3", "replaced on disk since it was loaded")


def seen(pid: int, name: str, *reasons: Reason) -> Seen:
    return Seen(pid, f"/usr/sbin/{name}", 0, Place(Kind.SERVICE, f"{name}.service"), reasons)


def test_the_answer_and_what_a_monitor_hears() -> None:
    fine = seen(1, "fine")
    assert needs([fine], {}, 0) == [] and headline({}, 1) == "1 service runs what is on disk"
    many = {Standing.RESTART: list("abcdefghijkl")}
    assert headline(many, 40) == "12 of 40 services need a restart: a, b, c, d, e, f, g, h, i, j …"
    assert report([], 42, 100) == (
        OK,
        "LIVESO OK - all 42 services run what is on disk | services=0;0;;0;42 processes=0;;;0;100 reboots=0;;0;0;42",
    )
    found = needs([fine, seen(3, "web|x", REASON), seen(2, "web|x", REASON), seen(4, "api", REASON)], {}, 0)
    assert [it.place.name for it in found] == ["api.service", "web|x.service"]
    assert found[1].reasons() == {REASON: [3, 2]}
    code, text = report(found, 3, 4)
    first, *rest = text.splitlines()
    assert code == WARNING and first.count("|") == 1 and "2 of 3 services need a restart" in first
    assert first.endswith("| services=2;0;;0;3 processes=3;;;0;4 reboots=0;;0;0;3") and len(rest) == 2
    assert report(needs([seen(5, "dbus", REASON)], {}, 0), 1, 1)[0] == CRITICAL
    waits = needs([seen(6, "job", REASON)], {"job.service": Unit("job.service", type="oneshot")}, 0)
    assert report(waits, 1, 1)[0] == OK


def test_what_is_chosen_to_be_restarted() -> None:
    found = needs([seen(pid, name, REASON) for pid, name in enumerate(("a", "b.2", "gdm", "dbus"))], {}, 0)

    def names(units: list[str], own: str = "") -> list[str]:
        return [it.place.name for it in choose(found, units, (own,))[0]]

    assert names([]) == ["a.service", "b.2.service"]
    assert names(["gdm,a"]) == ["a.service", "gdm.service"] and names(["b.2"]) == ["b.2.service"]
    assert names([], own="a.service") == ["b.2.service"]
    assert {it.place.name for it, _why in choose(found, [], ())[1]} == {"gdm.service", "dbus.service"}
    for unit in ("dbus", "unknown"):
        with pytest.raises(Declined, match=f"{unit}.service is none of what systemd is to restart"):
            names([unit])


RUNS, LIES = "a" * 64, "b" * 64
IN_FORCE = [
    ({"result": "updated", "in_force": True, "version": RUNS}, RUNS, True),
    ({"result": "updated", "in_force": True, "version": RUNS}, LIES, False),
    ({"result": "current", "in_force": True, "version": RUNS}, "", False),
    ({"result": "updated", "in_force": False, "version": RUNS, "stale_functions": ["f"]}, RUNS, False),
    ({"result": "refused", "in_force": False, "version": RUNS}, RUNS, False),
    ({"result": "rolled back", "in_force": True, "version": RUNS}, LIES, True),
    ({"result": "updated", "version": RUNS}, RUNS, False),  # a daemon that does not say so
]


@pytest.mark.parametrize(("fields", "digest", "is_so"), IN_FORCE)
def test_what_is_in_force_is_told_by_the_content_on_disk(fields: dict[str, object], digest: str, is_so: bool) -> None:
    library = {"path": "/lib/libx.so", "file": {"device": "fe:00", "inode": 7}, **fields}
    (target,) = read_status({"targets": [{"pid": 5, "libraries": [library]}]}).targets
    found = Claim(target).of(MappedFile("fe:00", 7, "/lib/libx.so (deleted)"))
    assert found and is_in_force(found, lambda _path: digest) is is_so
    assert Claim(target).of(MappedFile("fe:01", 7, "/lib/libx.so")) is None
    assert is_unfinished(found) == (fields["result"] == "refused" or "stale_functions" in fields)
    assert is_so or why_not(found)


def test_status_shows_a_library_once_for_each_service() -> None:
    def target(pid: int, unit: str, **fields: object) -> dict[str, object]:
        path = {"path": seen_from_here(pid, "/lib/libssl.so.3"), "version": RUNS, "result": "current", **fields}
        return {"pid": pid, "command": "web", "user": 0, "units": [unit], "libraries": [path]}

    refused = {"result": "refused", "reason": "it grew"}
    targets = [
        target(1, "fine.service"),
        *(target(pid, "web.service", **refused) for pid in (4, 3)),
        target(5, "web.service"),
    ]
    claims = [Claim(it) for it in read_status({"targets": targets}).targets]
    web, fine = services(claims, {})
    assert (web.title, web.pids, web.standing) == ("web.service", (3, 4, 5), Standing.RESTART) and fine.is_quiet
    ((row, count),) = web.rows
    assert (row.latest.path, count, web.current) == ("/lib/libssl.so.3", 2, (0, 1))
    first, second = services(claims, {1: [REASON], 3: [], 4: [], 5: []})
    assert (first.title, first.reasons, second.standing) == ("fine.service", ((REASON, 1),), Standing.CLEAR)
    assert [it.whose for it in services([claims[0], Claim(claims[0].target, 1000)], {})] == [None, 1000]


def test_a_need_names_what_does_it() -> None:
    (need,) = needs([seen(2, "web", REASON)], {}, 0)
    assert isinstance(need, Need)
    assert need.mend == Mend(
        Way.RESTART, "systemctl restart web.service", ("systemctl", "restart", "web.service"), ("systemctl",)
    )


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    pipe, file, link = tmp_path / "pipe", tmp_path / "file", tmp_path / "link"
    os.mkfifo(pipe)
    file.write_bytes(b"content")
    link.symlink_to(file)
    disk = Disk()
    digest = hashlib.sha256(b"content").hexdigest()
    paths = [file, link, pipe, tmp_path, tmp_path / "none", Path("/dev/zero")]
    assert [disk.digest(os.getpid(), str(it), is_trusted=False) for it in paths] == [digest, digest, "", "", "", ""]
    mapped = next(it for it in mappings(os.getpid(), os.getpid()) if it.is_executable and "libc.so" in it.file.path)
    assert not disk.is_other(os.getpid(), mapped) and disk.exists(os.getpid(), mapped.file.path)
    assert disk.leads_to(os.getpid(), mapped.file.path, (mapped.file.device, mapped.file.inode))
    assert not disk.leads_to(os.getpid(), str(file), (mapped.file.device, mapped.file.inode))
    moved = replace(mapped, file=replace(mapped.file, path=str(file)))
    assert disk.is_other(os.getpid(), moved) and not disk.exists(os.getpid(), str(tmp_path / "none"))
    disk.close()
