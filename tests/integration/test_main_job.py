"""The main job: a library changes on disk, and the running program executes the new version on its old data."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.harness import LIVESO, Bench, Program

LIBRARY = """
#include <stdio.h>
static int counter;
int exported = 100;
static __thread int local_in_thread;
__thread int exported_in_thread = 7;
static int twice(int number) { return 2 * number; }
int (*chosen)(int) = twice;
int hello(void)
{
	counter++, exported++, local_in_thread++, exported_in_thread++;
	printf("version %d: %d %d %d %d\\n", VERSION, counter, exported, local_in_thread, exported_in_thread);
	fflush(stdout);
	return chosen(counter);
}
__attribute__((constructor)) static void begin(void) { printf("begin %d\\n", VERSION); }
__attribute__((destructor)) static void end(void) { printf("end %d\\n", VERSION); }
"""

PROGRAM = """
#include <stdio.h>
int hello(void);
extern int exported;
int main(void)
{
	char line[100];
	while (fgets(line, sizeof line, stdin)) {
		hello();
		printf("seen by the program: %d\\n", exported);
		fflush(stdout);
	}
	return 0;
}
"""

LAZY = ("-Wl,-z,lazy",)
NOW = ("-Wl,-z,relro,-z,now",)


def build(bench: Bench, *flags: str, program_flags: tuple[str, ...] = (), compiler: str = "gcc") -> None:
    for version in (1, 2, 3):
        bench.compile(
            LIBRARY,
            f"libhello.{version}.so",
            *("-O2", "-fPIC", "-shared", f"-DVERSION={version}", "-Wl,-soname,libhello.so", *flags),
            compiler=compiler,
        )
    bench.link("libhello.1.so", "libhello.so")
    bench.compile(PROGRAM, "program", "-O2", "-L.", "-lhello", "-Wl,-rpath,$ORIGIN", *program_flags)


def start(bench: Bench) -> Program:
    """Start the program, let it call the first version once, and wait until it is served."""
    program = bench.run("./program")
    program.ask("")
    program.wait_for("version 1: 1 101 1 8")
    bench.library(program.pid, "libhello.so")
    return program


def expect(program: Program, version: int, count: int) -> None:
    """Let the program call once more, and expect `version` to work on data that was changed `count` times."""
    program.ask("")
    program.wait_for(f"version {version}: {count} {100 + count} {count} {7 + count}")
    program.wait_for(f"seen by the program: {100 + count}")


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("program_flags", [("-pie", "-fPIE"), ("-no-pie", "-fno-pie")], ids=["pie", "non-pie"])
@pytest.mark.parametrize("flags", [LAZY, NOW], ids=["lazy", "now"])
def test_new_code_runs_on_the_old_data(
    bench: Bench, flags: tuple[str, ...], program_flags: tuple[str, ...], compiler: str
) -> None:
    build(bench, *flags, program_flags=(*flags, *program_flags), compiler=compiler)
    program = start(bench)
    for count, version in enumerate((2, 3, 1, 3, 2), start=2):
        before = bench.log_length()
        bench.link(f"libhello.{version}.so", "libhello.so")
        bench.wait_for_log("event=updated", after=before)
        expect(program, version, count)
    bench.wait_for_library(program.pid, "libhello.so", versions_loaded=3, stale_functions=[])
    assert program.end() == 0
    assert [line for line in program.lines if "begin" in line or "end" in line] == ["begin 1", "end 1"]


PARTED = """
#include <stdio.h>
#include <stdlib.h>
static int first = 5;
static const char *names[] = {"one", "two", "three"};
static char buffer[300];
#if VERSION > 1
static int added;
#endif
int hello(void)
{
    first++, buffer[0]++;
    const char *name = names[VERSION - 1];
#if VERSION > 1
    added += abs(first) + atoi("1");
    if (getenv("NO SUCH") || added < 0)
        abort();
#endif
    puts("");
    printf("version %d, %s: %d %d\\n", VERSION, name, first, buffer[0]);
    return fflush(stdout);
}
"""


def test_lld_puts_the_slots_of_a_plt_between_the_variables(bench: Bench) -> None:
    """They stay those of each version, though what lies before and behind them has a home in the first."""
    for version in (1, 2, 3):
        flags = ("-O2", "-fPIC", "-shared", "-fuse-ld=lld", "-Wl,-z,lazy", f"-DVERSION={version}")
        bench.compile(PARTED, f"libhello.{version}.so", *flags, "-Wl,-soname,libhello.so", compiler="clang")
    bench.link("libhello.1.so", "libhello.so")
    text = "#include <stdio.h>\nint hello(void); int main(void) { while (getchar() > 0) hello(); }"
    bench.compile(text, "program", "-L.", "-lhello", "-Wl,-rpath,$ORIGIN", *LAZY)
    program = bench.run("./program")
    bench.library(program.pid, "libhello.so")
    for count, version in enumerate((1, 2, 3, 1, 3, 2), start=1):
        if count > 1:
            bench.update(f"libhello.{version}.so", "libhello.so", program.pid)
        program.ask("")
        program.wait_for(f"version {version}, {('one', 'two', 'three')[version - 1]}: {5 + count} {count}")
    assert program.end() == 0


def test_symbols_get_a_version(bench: Bench) -> None:
    """The program was linked with a library without versions."""
    build(bench)
    (bench.folder / "versions").write_text("HELLO_2 { global: hello; exported; exported_in_thread; chosen; };\n")
    flags = ("-O2", "-fPIC", "-shared", "-DVERSION=2", "-Wl,-soname,libhello.so")
    bench.compile(LIBRARY, "libhello.2.so", *flags, f"-Wl,--version-script={bench.folder}/versions")
    program = start(bench)
    bench.update("libhello.2.so", "libhello.so", program.pid)
    expect(program, 2, 2)
    assert program.end() == 0


def rename_over(bench: Bench) -> None:
    shutil.copy(bench.folder / "libhello.2.so", bench.folder / "new")
    os.rename(bench.folder / "new", bench.folder / "real.so")


def remove_and_create(bench: Bench) -> None:
    (bench.folder / "real.so").unlink()
    shutil.copy(bench.folder / "libhello.2.so", bench.folder / "real.so")


def write_slowly(bench: Bench) -> None:
    content = (bench.folder / "libhello.2.so").read_bytes()
    (bench.folder / "real.so").unlink()
    with (bench.folder / "real.so").open("wb") as file:
        for start in range(0, len(content), len(content) // 10):
            file.write(content[start : start + len(content) // 10])
            file.flush()
            time.sleep(0.03)


def in_a_burst(bench: Bench) -> None:
    for version in (3, 1, 3, 1, 2) * 10:
        os.link(bench.folder / f"libhello.{version}.so", bench.folder / "new")
        os.rename(bench.folder / "new", bench.folder / "real.so")


@pytest.mark.parametrize("change", [rename_over, remove_and_create, write_slowly, in_a_burst])
def test_the_file_may_change_in_any_way(bench: Bench, change: object) -> None:
    build(bench)
    shutil.copy(bench.folder / "libhello.1.so", bench.folder / "real.so")
    bench.link("real.so", "libhello.so")
    program = start(bench)
    assert callable(change)
    change(bench)
    bench.wait_for_version("libhello.2.so", "libhello.so", program.pid)
    expect(program, 2, 2)


def test_a_link_on_the_way_may_be_retargeted(bench: Bench) -> None:
    build(bench)
    for version in (1, 2):
        (bench.folder / f"release-{version}").mkdir()
        shutil.copy(bench.folder / f"libhello.{version}.so", bench.folder / f"release-{version}" / "file.so")
    bench.link("release-1", "current")
    bench.link("current/file.so", "libhello.so")
    program = start(bench)
    bench.link("release-2", "current")
    bench.wait_for_version("libhello.2.so", "libhello.so", program.pid)
    expect(program, 2, 2)


def test_a_folder_on_the_way_may_be_exchanged(bench: Bench) -> None:
    build(bench)
    for version in (1, 2, 3):
        (bench.folder / f"release-{version}").mkdir()
        shutil.copy(bench.folder / f"libhello.{version}.so", bench.folder / f"release-{version}" / "file.so")
    os.rename(bench.folder / "release-1", bench.folder / "current")
    bench.link("current/file.so", "libhello.so")
    program = start(bench)
    for version in (2, 3):
        os.rename(bench.folder / "current", bench.folder / f"old-{version}")
        os.rename(bench.folder / f"release-{version}", bench.folder / "current")
        bench.wait_for_version(f"libhello.{version}.so", "libhello.so", program.pid)
        expect(program, version, version)


def test_one_change_updates_all_targets(bench: Bench) -> None:
    build(bench)
    programs = [start(bench) for _ in range(4)]
    bench.link("libhello.2.so", "libhello.so")
    for program in programs:
        bench.wait_for_result(program.pid, "libhello.so", "updated")
        expect(program, 2, 2)


def test_it_works_without_a_daemon_at_the_start(idle_bench: Bench) -> None:
    build(idle_bench)
    program = start(idle_bench)
    idle_bench.link("libhello.2.so", "libhello.so")
    program.wait_for_error("libhello.so: updated to build ID")
    expect(program, 2, 2)
    lock = Path(f"{idle_bench.environment['LIVE_SOCKET']}.lock")
    daemon = int(lock.read_text())  # as long as there is a target, there is a daemon
    assert program.end() == 0
    from tests.harness import wait_until

    wait_until(lambda: not Path(f"/proc/{daemon}").exists(), "the end of the daemon after its last target")


def test_calls_reach_the_new_version_from_everywhere(bench: Bench) -> None:
    """Through dlsym, through a slot that is bound after the update, and from a plugin that is loaded after it."""
    source = """
    int first(void) { return VERSION; }
    int second(void) { return 10 * VERSION; }
    """
    plugin = "int first(void); int from_plugin(void) { return first(); }"
    other = "int second(void); int from_other(void) { return second(); }"
    program_source = """
    #include <dlfcn.h>
    #include <stdio.h>
    int first(void), from_other(void);
    int main(void)
    {
        char line[100];
        while (fgets(line, sizeof line, stdin)) {
            int (*found)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "first");
            printf("direct %d, dlsym %d\\n", first(), found());
            if (line[0] == 'p') {
                void *handle = dlopen("./plugin.so", RTLD_LAZY);
                int (*call)(void) = (int (*)(void))dlsym(handle, "from_plugin");
                printf("plugin %d, other %d\\n", call(), from_other());
            }
            fflush(stdout);
        }
        return 0;
    }
    """
    for version in (1, 2):
        bench.compile(source, f"libv.{version}.so", "-fPIC", "-shared", f"-DVERSION={version}", "-Wl,-soname,libv.so")
    bench.link("libv.1.so", "libv.so")
    bench.compile(other, "libother.so", "-fPIC", "-shared", "-L.", "-lv", "-Wl,-z,lazy")
    bench.compile(plugin, "plugin.so", "-fPIC", "-shared", "-L.", "-lv", "-Wl,-z,lazy")
    bench.compile(program_source, "program", "-L.", "-lother", "-lv", "-Wl,-rpath,$ORIGIN", "-Wl,-z,lazy")
    program = bench.run("./program")
    program.ask("")
    program.wait_for("direct 1, dlsym 1")
    bench.library(program.pid, "libv.so")
    bench.link("libv.2.so", "libv.so")
    bench.wait_for_result(program.pid, "libv.so", "updated")
    program.ask("p")
    program.wait_for("direct 2, dlsym 2")
    program.wait_for("plugin 2, other 20")


def test_versions_ifuncs_new_functions_and_new_dependencies_are_no_obstacle(bench: Bench) -> None:
    source = """
    #include <math.h>
    #include <stdio.h>
    static int calls;
    static int one(void) { return 100 + VERSION; }
    static int (*resolve(void))(void) { return one; }
    int indirect(void) __attribute__((ifunc("resolve")));
    int old_form(void) { return 1000 + VERSION; }
    int new_form(void) { return 2000 + VERSION; }
    __asm__(".symver old_form,form@V_1");
    __asm__(".symver new_form,form@@V_2");
    #if VERSION == 2
    int added(int number) { calls++; return (int)cbrt(number); }
    #endif
    int compute(int number)
    {
        calls++;
    #if VERSION == 2
        return added(number);
    #else
        return number;
    #endif
    }
    int count(void) { return calls; }
    """
    program_source = """
    #include <stdio.h>
    int indirect(void), form(void), compute(int), count(void);
    int main(void)
    {
        char line[100];
        volatile double number = 27;
        while (fgets(line, sizeof line, stdin)) {
            int result = compute((int)number);
            printf("indirect %d form %d compute %d count %d\\n", indirect(), form(), result, count());
            fflush(stdout);
        }
        return 0;
    }
    """
    (bench.folder / "map").write_text("V_1 { global: form; indirect; };\nV_2 { global: *; } V_1;\n")
    for version in (1, 2):
        bench.compile(
            source,
            f"libv.{version}.so",
            *("-O1", "-fPIC", "-shared", f"-DVERSION={version}", "-Wl,-soname,libv.so", "-Wl,--version-script=map"),
            *(["-lm"] if version == 2 else []),
        )
    bench.link("libv.1.so", "libv.so")
    bench.compile(program_source, "program", "-L.", "-lv", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    program.ask("")
    program.wait_for("indirect 101 form 2001 compute 27 count 1")
    bench.library(program.pid, "libv.so")
    for count, (version, result) in enumerate([(2, 3), (1, 27), (2, 3)]):
        before = bench.log_length()
        bench.link(f"libv.{version}.so", "libv.so")
        bench.wait_for_log("event=updated", after=before)
        program.ask("")
        counted = (3, 4, 6)[count]
        program.wait_for(f"indirect {100 + version} form {2000 + version} compute {result} count {counted}")


def test_what_a_resolver_chooses_is_led_on_though_its_code_is_not_known_again(bench: Bench) -> None:
    """No name tells which function it is, and no other place: only the resolver's own name."""
    source = """
    #include <string.h>
    #if VERSION == 1
    static int chosen(int n) { return n + 100; }
    #else
    static int chosen(int n)
    {
        char text[64];
        memset(text, n, sizeof text);
        for (int at = 0; at < 64; at += n)
            n += text[at] & 3;
        return n * 0 + 200;
    }
    #endif
    static int (*resolve(void))(int) { return chosen; }
    int indirect(int) __attribute__((ifunc("resolve")));
    int plain(int n) { return n * 7 % 5; }
    """
    for version in (1, 2):
        flags = ("-O2", "-s", "-fPIC", "-shared", f"-DVERSION={version}", "-Wl,-soname,libchoice.so")
        bench.compile(source, f"libchoice.{version}.so", *flags)
    bench.link("libchoice.1.so", "libchoice.so")
    program_source = """
    #include <stdio.h>
    int indirect(int);
    int main(void)
    {
        while (getchar() > 0)
            printf("chosen %d\\n", indirect(1) / 100), fflush(stdout);
        return 0;
    }
    """
    bench.compile(program_source, "program", "-L.", "-lchoice", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    program.ask("")
    program.wait_for("chosen 1")
    bench.library(program.pid, "libchoice.so")
    for version in (2, 1, 2):
        after = len(program.lines)
        bench.update(f"libchoice.{version}.so", "libchoice.so", program.pid)
        program.ask("")
        program.wait_for(f"chosen {version}", after)
    assert program.end() == 0


def test_a_changed_default_arrives_and_a_changed_value_stays(bench: Bench) -> None:
    source = """
    #include <stdio.h>
    struct { long kept, changed; const char *text; } settings = {10 + VERSION, 20, VERSION == 1 ? "one" : "two"};
    void show(void)
    {
        settings.changed++;
        printf("version %d: %ld %ld %s\\n", VERSION, settings.kept, settings.changed, settings.text);
        fflush(stdout);
    }
    """
    program_source = """
    #include <stdio.h>
    void show(void);
    int main(void) { char line[9]; while (fgets(line, sizeof line, stdin)) show(); return 0; }
    """
    for version in (1, 2):
        bench.compile(source, f"libv.{version}.so", "-O2", "-fPIC", "-shared", f"-DVERSION={version}")
    bench.link("libv.1.so", "libv.so")
    bench.compile(program_source, "program", "-L.", "-lv", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    program.ask("")
    program.wait_for("version 1: 11 21 one")
    bench.library(program.pid, "libv.so")
    bench.link("libv.2.so", "libv.so")
    bench.wait_for_result(program.pid, "libv.so", "updated")
    program.ask("")
    program.wait_for("version 2: 12 22 two")


@pytest.mark.own_machine
def test_assembly_that_cannot_be_decoded_reads_the_values_of_the_moment(bench: Bench) -> None:
    """Bytes that are jumped over make linear decoding miss the reference to a variable that was set at the start."""
    for version in (1, 2):
        bench.compile(
            """
            #include <stdio.h>
            int capability __attribute__((visibility("hidden")));
            int capability_of_processor(void);
            __asm__(".text\\n.type capability_of_processor, @function\\ncapability_of_processor:\\n"
                    "jmp 1f\\n.byte 0x48, 0xb8\\n1: mov capability(%rip), %eax\\nret\\nnop\\n"
                    ".size capability_of_processor, . - capability_of_processor\\n.balign 16\\n");
            __attribute__((constructor)) static void look_at_processor(void) { capability = 1234; }
            void hello(void)
            {
                printf("version %d: %d %d\\n", VERSION, capability, capability_of_processor());
                fflush(stdout);
            }
            """,
            f"libhello.{version}.so",
            *("-O2", "-fPIC", "-shared", f"-DVERSION={version}"),
        )
    bench.link("libhello.1.so", "libhello.so")
    program = bench.compile(
        """
        #include <stdio.h>
        void hello(void);
        int main(void) { char line[9]; while (fgets(line, sizeof line, stdin)) hello(); return 0; }
        """,
        "program",
        *("-L.", "-lhello", "-Wl,-rpath,$ORIGIN"),
    )
    running = bench.run(program)
    for version in (1, 2, 1, 2):
        bench.update(f"libhello.{version}.so", "libhello.so", running.pid)
        before = len(running.lines)
        running.ask("")
        running.wait_for(f"version {version}: 1234 1234", before)


def test_a_wrapper_that_asks_for_the_next_definition_stays(bench: Bench) -> None:
    for version in (1, 2):
        bench.compile(
            """
            #define _GNU_SOURCE
            #include <dlfcn.h>
            #include <stdio.h>
            int work(void)
            {
                int (*next)(void) = dlsym(RTLD_NEXT, "work");
                printf("version %d before %d\\n", VERSION, next());
                return fflush(stdout);
            }
            """,
            f"libhello.{version}.so",
            *("-O2", "-fPIC", "-shared", f"-DVERSION={version}"),
        )
    bench.link("libhello.1.so", "libhello.so")
    bench.compile("int work(void) { return 42; }", "libwork.so", "-shared", "-fPIC")
    bench.compile(
        """
        #include <stdio.h>
        int work(void);
        int main(void) { char line[9]; while (fgets(line, sizeof line, stdin)) work(); return 0; }
        """,
        "program",
        *("-L.", "-Wl,--no-as-needed", "-lhello", "-lwork", "-Wl,-rpath,$ORIGIN"),
    )
    program = bench.run("./program")
    bench.library(program.pid, "libhello.so")
    bench.link("libhello.2.so", "libhello.so")
    assert "RTLD_NEXT" in bench.wait_for_result(program.pid, "libhello.so", "refused")["reason"]
    program.ask("")
    program.wait_for("version 1 before 42")


def test_status_tells_every_reason_of_a_refusal(bench: Bench) -> None:
    source = """
    #include <stdio.h>
    #include <stdlib.h>
    struct object { %s int first, second; } *object;
    void prepare(void) { object = calloc(1, sizeof *object); object->first = 1; object->second = 2; }
    int first(void) { return object->first; }
    int second(void) { return object->second; }
    """
    for version, added in (("1", ""), ("2", "long added;")):
        bench.compile(source % added, f"libhello.{version}.so", "-O2", "-fPIC", "-shared", "-s")
    bench.link("libhello.1.so", "libhello.so")
    bench.compile(
        """
        #include <stdio.h>
        void prepare(void);
        int first(void), second(void);
        int main(void)
        {
            char line[9];
            prepare();
            while (fgets(line, sizeof line, stdin)) {
                printf("%d %d\\n", first(), second());
                fflush(stdout);
            }
            return 0;
        }
        """,
        "program",
        *("-L.", "-lhello", "-Wl,-rpath,$ORIGIN"),
    )
    program = bench.run("./program")
    bench.library(program.pid, "libhello.so")
    bench.link("libhello.2.so", "libhello.so")
    library = bench.wait_for_result(program.pid, "libhello.so", "refused")
    assert any("an object changed from" in it for it in library["details"])
    assert any("second witnesses that a member moved from +0x4 to +0xc" in it for it in library["details"])
    for command in (["status", "-v"], ["why"], ["why", str(program.pid)], ["why", "libhello"]):
        shown = subprocess.check_output([LIVESO, *command], env=bench.environment, text=True)
        assert all(it in shown for it in library["details"])
    for unknown in ("1", "libother.so"):
        done = subprocess.run([LIVESO, "why", unknown], env=bench.environment, capture_output=True, text=True)
        assert done.returncode == 1 and unknown in done.stderr and done.stderr.count("\n") == 1
    program.ask("")
    program.wait_for("1 2")
