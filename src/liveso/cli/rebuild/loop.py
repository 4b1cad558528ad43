"""The program runs as a child; builds come and go beside it."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from liveso.cli.preload import own_environment, prepare
from liveso.cli.rebuild import running, terminal
from liveso.cli.rebuild.builder import Build, Built
from liveso.cli.rebuild.files import written_by
from liveso.cli.rebuild.report import Known, Reporter
from liveso.cli.rebuild.signals import FATAL, Received, Signals, end_as, stop_as
from liveso.cli.rebuild.sources import Change, Sources
from liveso.cli.rebuild.watcher import Watcher
from liveso.settings import read_settings


@dataclass(frozen=True, slots=True)
class Plan:
    """What the user said. `on_refusal`: ask, restart or ignore."""

    command: tuple[str, ...]
    switch: str | None
    build: str
    watched: tuple[str, ...]
    on_refusal: str


def keep_building(plan: Plan) -> int:
    """Build, run the program, and build again when a source changes, until the program has ended; its exit code. Where
    a signal ended it, this process ends by the same. Raises NoProgram and CannotExecute."""
    signals = Signals()
    status = asyncio.run(_Loop(plan, signals).run())
    return end_as(-status) if status < 0 else status


class _Loop:
    def __init__(self, plan: Plan, signals: Signals) -> None:
        self._plan, self._signals = plan, signals
        self._reporter = Reporter(read_settings())
        self._environment = own_environment()
        self._modes = terminal.current_mode()
        self._pid = 0  # of the program, while it runs
        self._build: Build | None = None
        self._sources = Sources(())
        self._known: Known | None = None  # before the first build of which nothing was told yet
        self._is_held = False  # by us, while the user is asked
        self._gone: asyncio.Future[None] | None = None  # while it is to end because another is to start
        self._stop_for = 0  # the signal that came meanwhile

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = loop.create_future()
        self._changed = asyncio.Event()
        self._signals.start(_told_to(loop, self._received))
        watcher = Watcher(self._plan.watched, _told_to(loop, self._told), _told_to(loop, terminal.say))
        self._sources = Sources(watcher.start())
        builds = asyncio.create_task(self._build_again_and_again())
        builds.add_done_callback(self._builds_failed)
        try:
            return await self._ended
        finally:
            watcher.stop()
            if self._build:
                self._build.stop()
            builds.cancel()
            await asyncio.gather(builds, return_exceptions=True)

    def _builds_failed(self, builds: asyncio.Task[None]) -> None:
        if not builds.cancelled() and (error := builds.exception()) and not self._ended.done():
            self._ended.set_exception(error)

    def _finish(self, status: int) -> None:
        if not self._ended.done():
            self._ended.set_result(status)

    # --- what happens

    def _told(self, changes: list[Change]) -> None:
        own = written_by(running.family(self._pid)) if self._pid else set()
        for it in changes:
            was_taken = self._sources.is_in_each_build(it.path)
            if it.path not in own and self._sources.counts(it):
                self._changed.set()
            if self._sources.is_in_each_build(it.path) and not was_taken:
                name = os.path.relpath(it.path)
                terminal.say(f"{name} changes in each build, and is taken for what it writes; --watch says what counts")

    def _received(self, it: Received) -> None:
        if it.number == signal.SIGCHLD:
            self._look()
        elif not self._pid or self._gone:
            self._received_without_program(it)
        elif it.number == signal.SIGCONT:
            if not self._is_held and running.is_stopped(self._pid):
                running.send(self._pid, signal.SIGCONT)
        else:
            if self._is_held:
                self._changed_mind.set()
            if it.is_for_one and it.sender not in running.family(self._pid):
                running.send(self._pid, it.number)

    def _received_without_program(self, it: Received) -> None:
        if it.number in FATAL and self._gone:
            self._stop_for = it.number
        elif it.number in FATAL:
            self._finish(-it.number)
        elif it.number == signal.SIGTSTP and not self._ended.done():  # else it was for the program, and is told late
            stop_as(it.number)

    def _look(self) -> None:
        """See whether the program was stopped, or has ended."""
        while self._pid and (it := os.waitid(os.P_PID, self._pid, os.WEXITED | os.WSTOPPED | os.WNOHANG)):
            if it.si_code in (os.CLD_STOPPED, os.CLD_TRAPPED):
                if not self._is_held and running.is_stopped(self._pid):
                    stop_as(it.si_status)
                continue
            self._pid = 0
            if self._gone and not self._gone.done():
                self._gone.set_result(None)
            else:
                self._finish(it.si_status if it.si_code == os.CLD_EXITED else -it.si_status)

    # --- building

    async def _build_again_and_again(self) -> None:
        while True:
            self._changed.clear()
            await self._build_once()
            await self._changed.wait()

    async def _build_once(self) -> None:
        if self._pid and not self._known:
            self._known = await asyncio.to_thread(self._reporter.before, self._pid)
        self._sources.build_begins(time.time())
        looks_like_terminal = terminal.current_mode(2) is not None
        self._build = Build(self._plan.build, self._environment, looks_like_terminal)
        built = await asyncio.to_thread(self._build.wait)
        self._build = None
        self._sources.build_has_ended(time.time())
        if shown := built.shown:
            terminal.write(shown if shown.endswith(b"\n") else shown + b"\n")
        if built.code:
            rest = "the program runs on as it was" if self._pid else "the program starts when a build succeeds"
            terminal.say(f"the build failed ({_ending(built)}, after {built.seconds:.1f} s); {rest}")
        elif self._pid:
            await self._report(built)
        else:
            self._start()

    async def _report(self, built: Built) -> None:
        pid, known = self._pid, self._known
        assert known

        def is_over() -> bool:
            return self._pid != pid or self._changed.is_set() or self._ended.done()

        report = await asyncio.to_thread(self._reporter.wait, pid, known, is_over)
        if not report or self._pid != pid:
            return
        self._known = None
        is_restart = report.is_trouble and self._plan.on_refusal == "restart"
        terminal.say(f"built in {built.seconds:.1f} s; {report.text}" + ("; restarting it" if is_restart else ""))
        if report.is_trouble and self._plan.on_refusal == "ask" and terminal.is_in_foreground():
            is_restart = await self._ask()
        if is_restart and self._pid == pid:
            await self._restart()

    # --- the program

    def _start(self) -> None:
        self._known = None
        self._pid = running.start(prepare(self._plan.command, self._plan.switch), self._signals.mask_before)

    async def _restart(self) -> None:
        self._gone = asyncio.get_running_loop().create_future()
        rest = running.session_of(self._pid)[1:]
        running.send(self._pid, signal.SIGTERM)
        running.send(self._pid, signal.SIGCONT)
        try:
            await asyncio.wait_for(asyncio.shield(self._gone), running.PATIENCE)
        except TimeoutError:
            running.send(self._pid, signal.SIGKILL)
            await self._gone
        await asyncio.to_thread(running.end_rest, rest)
        terminal.set_mode(self._modes)
        self._gone = None
        if self._stop_for:
            self._finish(-self._stop_for)
        else:
            self._start()

    async def _ask(self) -> bool:
        """Whether the user wants the program restarted. It stands still meanwhile, for it would read the answer. A
        change of a source, or a signal, is an answer, too: go on."""
        question = terminal.Question(f"restart {self._plan.command[0]}, or ignore that? [r/I]", self._modes)
        held = running.session_of(self._pid)
        self._is_held, self._changed_mind = True, asyncio.Event()
        for it in held:
            running.send(it.pid, signal.SIGSTOP)
        answer = asyncio.create_task(question.answer())
        others = [asyncio.create_task(it.wait()) for it in (self._changed, self._changed_mind)]
        try:
            await asyncio.wait([answer, *others], return_when=asyncio.FIRST_COMPLETED)
            return answer.done() and answer.result().lower() in ("r", "restart")
        finally:
            for task in (answer, *others):
                task.cancel()
            await asyncio.gather(answer, *others, return_exceptions=True)
            for it in held:
                running.send(it.pid, signal.SIGCONT)
            self._is_held = False


def _told_to(loop: asyncio.AbstractEventLoop, receive: Callable[[Any], None]) -> Callable[[Any], None]:
    """What another thread calls so that `receive` is called in the loop, if that still runs."""

    def tell(it: Any) -> None:
        try:
            loop.call_soon_threadsafe(receive, it)
        except RuntimeError:
            pass

    return tell


def _ending(built: Built) -> str:
    return f"exit code {built.code}" if built.code > 0 else f"signal {signal.Signals(-built.code).name}"
