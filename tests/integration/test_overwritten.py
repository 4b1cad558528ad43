"""A library file that is overwritten in place (`cp new lib.so`), which cuts short what is mapped of it."""

import ctypes
import hashlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from liveso.holder.registers import SEIZE, ptrace
from tests.harness import AGENT, LIVESO, Bench, Program, containing, wait_until
from tests.integration import test_python_tls as python_tls

OVERWRITES = 20

LIBRARY = """
static long in_static;
long exported;
static __thread long in_thread;
int version(void) { return VERSION; }
long count(void)
{
	__atomic_fetch_add(&in_static, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&exported, 1, __ATOMIC_RELAXED);
	return ++in_thread;
}
long static_sum(void) { return in_static; }
"""

COUNTERS = """
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
long count(void), static_sum(void);
int version(void);
extern long exported;
static atomic_int stop, is_calm, begun;
static void *run(void *calls)
{
	long own = 0, last = 0;
	while (!stop) {
		last = count();
		if (own++ == 0)
			begun++;
		if (is_calm)
			usleep(500);
	}
	*(long *)calls = own;
	return last == own ? calls : NULL;
}
static void run_child(pid_t parent)
{
	while (getppid() == parent) {
		count();
		usleep(1000);
	}
	_exit(0);
}
int main(int count_of_arguments, char **arguments)
{
	(void)arguments;
	is_calm = count_of_arguments > 1;
	pthread_t threads[6];
	long calls[6], sum = 0, exact = 0;
	char line[9];
	for (int i = 0; i < 6; i++)
		pthread_create(&threads[i], NULL, run, &calls[i]);
	while (begun < 6)
		usleep(1000);
	while (fgets(line, sizeof line, stdin)) {
		if (line[0] == 'f') {
			pid_t parent = getpid(), child = fork();
			if (child == 0)
				run_child(parent);
			printf("child %d\\n", child);
		}
		printf("version %d\\n", version());
		fflush(stdout);
	}
	stop = 1;
	for (int i = 0; i < 6; i++) {
		void *result;
		pthread_join(threads[i], &result);
		exact += result != NULL;
		sum += calls[i];
	}
	printf("calls %ld static %ld exported %ld exact threads %ld\\n", sum, static_sum(), exported, exact);
	return 0;
}
"""


def build(bench: Bench, program: str = COUNTERS) -> None:
    for version in (1, 2, 3):
        flags = ("-O2", "-fPIC", "-shared", f"-DVERSION={version}", "-Wl,-soname,libcount.so")
        bench.compile(LIBRARY, f"libcount.{version}.so", *flags)
    shutil.copy(bench.folder / "libcount.1.so", bench.folder / "libcount.so")
    bench.compile(program, "program", "-O2", "-pthread", "-L.", "-lcount", "-Wl,-rpath,$ORIGIN")


def start(bench: Bench, *arguments: str) -> Program:
    """A program whose threads count all the time, or, with the argument "calm", most of it."""
    build(bench)
    program = bench.run("./program", *arguments, LIVE_LOGLEVEL="1")
    bench.library(program.pid, "libcount.so")
    return program


def overwrite(bench: Bench, file: str | Path, name: str = "libcount.so") -> None:
    """As `cp` does it: open with O_TRUNC, and write."""
    subprocess.run(["cp", str(file), name], check=True, cwd=bench.folder)


def version_of(program: Program) -> str:
    lines = len(program.lines)
    program.ask("")
    return program.wait_for("version", after=lines)


def take(bench: Bench, version: int, *programs: Program) -> None:
    """Overwrite the library, and wait until a call in each program gets to the new version."""
    before = bench.log_length()
    overwrite(bench, f"libcount.{version}.so")
    for program in programs:
        bench.wait_for_log("event=updated", f"pid={program.pid} ", after=before)
        assert version_of(program) == f"version {version}"


def expect_exact_sums(program: Program) -> None:
    assert program.end() == 0, program.output()
    found = re.fullmatch(r"calls (\d+) static (\d+) exported (\d+) exact threads 6", program.lines[-1])
    assert found, program.output()
    assert int(found[1]) > OVERWRITES and found[1] == found[2] == found[3]


def test_without_live_so_the_program_dies_of_it(bench: Bench) -> None:
    """What the others would show if nothing protected them."""
    build(bench)
    program = bench.run_plain("./program")
    version_of(program)
    overwrite(bench, "/dev/null")
    assert program.process.wait(60) == -signal.SIGBUS


def test_threads_count_on_while_their_library_is_overwritten(bench: Bench) -> None:
    program = start(bench)
    for number in range(OVERWRITES):
        take(bench, 2 + number % 2, program)
    expect_exact_sums(program)


def test_the_copy_that_is_mapped_is_the_first_version_and_nothing_more_is_written(bench: Bench) -> None:
    program = start(bench, "calm")
    version_of(program)  # by then all threads have written to what they write to
    before = own_memory(program)
    overwrite(bench, "/dev/null")
    bench.wait_for_log("event=carried", f"pid={program.pid}")
    lines = [line for line in maps(program) if "libcount.so" in line]
    assert len(lines) == 5 and all("/carried/libcount.so" in line for line in lines)
    copy = Path(lines[0].split()[-1])
    assert copy.read_bytes() == (bench.folder / "libcount.1.so").read_bytes()
    assert {line.split()[1] for line in lines} == {"r--p", "r-xp", "rw-p"}
    assert own_memory(program) == before > 0
    expect_exact_sums(program)


def test_a_file_that_is_cut_short_is_refused_and_the_program_runs_on(bench: Bench) -> None:
    program = start(bench, "calm")
    for content, reason in (("", "the file is empty"), ("no library\n", "not an ELF file")):
        subprocess.run(["sh", "-c", f"printf '%s' '{content}' > libcount.so"], check=True, cwd=bench.folder)
        bench.wait_for_log("event=refused", reason)
        bench.wait_for_library(program.pid, "libcount.so", result="refused", reason=containing(reason), unprotected="")
        assert version_of(program) == "version 1"
    take(bench, 2, program)
    expect_exact_sums(program)


def test_a_child_that_was_just_forked_is_kept_alive_and_updated_as_well(bench: Bench) -> None:
    program = start(bench, "calm")
    program.ask("f")
    child = int(program.wait_for("child ").split()[-1])
    overwrite(bench, "libcount.2.so")
    bench.wait_for_version("libcount.2.so", "libcount.so", program.pid, child)
    assert version_of(program) == "version 2"
    expect_exact_sums(program)


def test_the_first_version_comes_back(bench: Bench) -> None:
    program = start(bench, "calm")
    for version in (2, 1, 3, 1):
        take(bench, version, program)
    bench.wait_for_library(program.pid, "libcount.so", versions_loaded=3)
    expect_exact_sums(program)


def test_a_new_daemon_knows_what_an_overwritten_library_runs(bench: Bench) -> None:
    program, refused = start(bench, "calm"), bench.run("./program", "calm", LIVE_ONLY="*count*")
    bench.library(refused.pid, "libcount.so")
    overwrite(bench, "/dev/null")
    for it in (program, refused):
        bench.wait_for_result(it.pid, "libcount.so", "refused")
    for last in (2, 3):
        bench.kill_daemon()
        bench.start_daemon()
        digest = hashlib.sha256((bench.folder / f"libcount.{last - 1}.so").read_bytes()).hexdigest()
        for it in (program, refused):
            bench.wait_for_library(it.pid, "libcount.so", version=digest, unprotected="")
        overwrite(bench, f"libcount.{last}.so")
        bench.wait_for_version(f"libcount.{last}.so", "libcount.so", program.pid, refused.pid)
        assert version_of(program) == version_of(refused) == f"version {last}"
    expect_exact_sums(program)
    expect_exact_sums(refused)


def test_a_process_that_starts_afterwards_is_protected_again(bench: Bench) -> None:
    program = start(bench, "calm")
    take(bench, 2, program)
    later = bench.run("./program", "calm")
    bench.wait_for_library(later.pid, "libcount.so", unprotected="")
    wait_until(lambda: leases(bench), "a lease on the new content")
    take(bench, 3, program, later)
    expect_exact_sums(program)
    expect_exact_sums(later)


def test_a_stopped_process_stays_stopped_and_alive(bench: Bench) -> None:
    program = start(bench, "calm")
    os.kill(program.pid, signal.SIGSTOP)
    wait_until(lambda: state(program) == "T", "a stop")
    overwrite(bench, "libcount.2.so")
    bench.wait_for_log("event=carried", f"pid={program.pid}")
    wait_until(lambda: state(program) == "T", "the same stop")
    os.kill(program.pid, signal.SIGCONT)
    bench.wait_for_log("event=updated", f"pid={program.pid}")
    assert version_of(program) == "version 2"
    expect_exact_sums(program)


def test_a_thread_that_cannot_be_stopped_now_is_waited_for(bench: Bench) -> None:
    """The parent of vfork(2) does not stop before its child has executed a program or ended."""
    build(
        bench,
        """
        #include <stdio.h>
        #include <unistd.h>
        int version(void);
        int main(void)
        {
            char line[9], end;
            while (fgets(line, sizeof line, stdin)) {
                printf("version %d\\n", version());
                fflush(stdout);
                if (line[0] == 'v' && vfork() == 0)
                    _exit(read(0, &end, 1) != 1);
            }
            return 0;
        }
        """,
    )
    program = bench.run("./program")
    bench.library(program.pid, "libcount.so")
    program.ask("v")
    program.wait_for("version 1")
    writer = subprocess.Popen(["cp", "libcount.2.so", "libcount.so"], cwd=bench.folder)
    bench.wait_for_log("event=overwrite ")
    with pytest.raises(subprocess.TimeoutExpired):
        writer.wait(1.5)
    program.ask("")
    assert writer.wait(60) == 0
    bench.wait_for_version("libcount.2.so", "libcount.so", program.pid)
    assert version_of(program) == "version 2"
    assert program.end() == 0


def test_a_process_that_is_traced_holds_up_neither_the_writer_nor_the_others(bench: Bench) -> None:
    traced, free = start(bench, "calm"), bench.run("./program", "calm")
    bench.library(free.pid, "libcount.so")
    assert ptrace(SEIZE, traced.pid)
    begin = time.monotonic()
    os.close(os.open(bench.folder / "libcount.so", os.O_WRONLY))
    assert time.monotonic() - begin < 20
    reason = f"process {os.getpid()} traces it already"
    bench.wait_for_log("event=not-carried", f"pid={traced.pid}", reason)
    traced.wait_for_error(reason)
    bench.wait_for_log("event=carried", f"pid={free.pid}")
    bench.wait_for_library(traced.pid, "libcount.so", unprotected=containing(reason))
    bench.wait_for_library(free.pid, "libcount.so", unprotected="")
    shown = subprocess.check_output([LIVESO, "status", "-v"], env=bench.environment, text=True)
    assert f"would not survive to be overwritten in place: {reason}" in shown


def test_a_probe_in_the_code_does_not_end_the_program(bench: Bench) -> None:
    """The kernel's breakpoint (uprobes, as perf and BPF set them) belongs to the file, and not to its copy."""
    program = start(bench, "calm")
    symbols = subprocess.check_output(["nm", "-D", "libcount.so"], text=True, cwd=bench.folder)
    offset = next(int(line.split()[0], 16) for line in symbols.splitlines() if line.endswith(" T count"))
    probe = set_probe(bench.folder / "libcount.so", offset, program.pid)
    try:
        code = int(next(line for line in maps(program) if "libcount.so" in line).split("-")[0], 16) + offset
        breakpoint_instruction = b"\xcc"
        assert memory(program, code) == breakpoint_instruction
        overwrite(bench, "/dev/null")
        bench.wait_for_log("event=carried", f"pid={program.pid}")
        assert memory(program, code) != breakpoint_instruction
        assert version_of(program) == "version 1"
        expect_exact_sums(program)
    finally:
        os.close(probe)


def set_probe(file: Path, offset: int, pid: int) -> int:
    """Count how often a process gets to an instruction in a file (perf_event_open(2)), until the result is closed."""
    try:
        kind = int(Path("/sys/bus/event_source/devices/uprobe/type").read_text())
    except OSError:
        pytest.skip("this kernel has no uprobes")
    path = ctypes.create_string_buffer(bytes(file))
    attributes = struct.pack("=IIQQQQQIIQQ", kind, 72, 0, 0, 0, 0, 0, 0, 0, ctypes.addressof(path), offset)
    perf_event_open, exclusively = 298, 8  # on x86-64; PERF_FLAG_FD_CLOEXEC
    number = ctypes.CDLL(None, use_errno=True).syscall(perf_event_open, attributes, pid, -1, -1, exclusively)
    if number < 0:
        pytest.skip(f"no probe can be set: {os.strerror(ctypes.get_errno())}")
    return int(number)


def test_nobody_is_held_up_where_that_is_switched_off(idle_bench: Bench) -> None:
    idle_bench.environment["LIVE_OVERWRITE"] = "ignore"
    idle_bench.start_daemon()
    program = start(idle_bench, "calm")
    assert not leases(idle_bench)
    idle_bench.wait_for_library(program.pid, "libcount.so", unprotected=containing("LIVE_OVERWRITE"))
    overwrite(idle_bench, "/dev/null")
    assert program.process.wait(60) == -signal.SIGBUS


class UsersBench(Bench):
    """One whose daemon is asked by the user whose it is: nobody else believes it."""

    def __init__(self, folder: Path, user: list[str]) -> None:
        super().__init__(folder)
        self._user = user

    def status(self) -> list[dict[str, Any]]:
        command = [*self._user, str(LIVESO), "status", "--json"]
        asked = subprocess.run(command, env=self.environment, capture_output=True, check=False)
        targets: list[dict[str, Any]] = json.loads(asked.stdout)["targets"] if asked.returncode == 0 else []
        return targets


def test_a_users_own_daemon_protects_the_users_own_libraries(bench: Bench) -> None:
    """Both without any right of root; root's library is not protected, and that is told."""
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    with tempfile.TemporaryDirectory(prefix="liveso-user-") as folder:
        own = UsersBench(Path(folder), user)
        build(own)
        subprocess.run(["chown", "-R", "65534:65534", folder], check=True)
        if subprocess.run([*user, LIVESO, "--help"], capture_output=True, check=False).returncode != 0:
            pytest.skip("another user may not run this installation")
        try:
            own.environment["HOME"] = folder
            own.daemon = own.run_plain(*user, LIVESO, "daemon")
            own.daemon.wait_for_error("event=started")
            program = own.run_plain(*user, "env", f"LD_PRELOAD={AGENT}", "./program", "calm")
            own.wait_for_library(program.pid, "libcount.so", unprotected="")
            overwrite(own, "/dev/null")
            own.wait_for_result(program.pid, "libcount.so", "refused")
            own.kill_daemon()
            own.daemon = own.run_plain(*user, LIVESO, "daemon")
            digest = hashlib.sha256((own.folder / "libcount.1.so").read_bytes()).hexdigest()
            own.wait_for_library(program.pid, "libcount.so", version=digest)
            take(own, 2, program)
            expect_exact_sums(program)
            shutil.copy(own.folder / "libcount.1.so", own.folder / "new")
            os.rename(own.folder / "new", own.folder / "libcount.so")
            program = own.run_plain(*user, "env", f"LD_PRELOAD={AGENT}", "./program", "calm")
            own.wait_for_library(program.pid, "libcount.so", unprotected=containing("belongs to another user"))
            own.wait_for_log("event=unprotected", "belongs to another user")
        finally:
            own.close()


def test_openssl_is_overwritten_under_a_python_that_shakes_hands(bench: Bench) -> None:
    both = (python_tls.LIBCRYPTO, python_tls.LIBSSL)
    program = python_tls.start(bench, python_tls.BEFORE, install=copy_over)
    python_tls.update(bench, program, both, python_tls.AFTER, install=copy_over)
    python_tls.expect_more_handshakes(program, 60)
    for version in (python_tls.SECURITY, python_tls.AFTER):
        python_tls.update(bench, program, both[:1], version, install=copy_over)
        python_tls.expect_more_handshakes(program, 60)
    bench.wait_for_log("event=carried", count=len(both))
    assert len(bench.log_lines("event=carried")) == len(both)
    python_tls.end(program)


def copy_over(bench: Bench, library: str, version: str) -> None:
    overwrite(bench, python_tls.file_of(library, version), f"lib/{library}")


def maps(program: Program) -> list[str]:
    return Path(f"/proc/{program.pid}/maps").read_text().splitlines()


def memory(program: Program, address: int) -> bytes:
    with Path(f"/proc/{program.pid}/mem").open("rb", buffering=0) as file:
        return os.pread(file.fileno(), 1, address)


def own_memory(program: Program) -> int:
    """What the process has for itself of the library, because it differs from the file, in KiB."""
    text = Path(f"/proc/{program.pid}/smaps").read_text()
    parts = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.M)
    sizes = [re.search(r"^Anonymous:\s+(\d+)", part, re.M) for part in parts if "libcount.so" in part]
    return sum(int(size[1]) for size in sizes if size)


def state(program: Program) -> str:
    """As proc(5) has it in /proc/PID/stat."""
    return Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()[0]


def leases(bench: Bench) -> list[str]:
    """Those that the daemon holds."""
    assert bench.daemon
    lines = Path("/proc/locks").read_text().splitlines()
    return [line for line in lines if " LEASE " in line and f" {bench.daemon.pid} " in line]
