"""liveso judges what packages bring while rpm unpacks them, and says what is in force in running processes
(docs/dnf.md). Nothing that goes wrong here reaches dnf, also where liveso is gone or half installed.

It is written for the Python of dnf's, 3.6 and newer, and needs nothing of liveso but its command.
"""

import logging
import os
import subprocess
import tempfile

import dnf

_BEFORE, _AFTER = 10, 34  # seconds; the commands end themselves a little earlier
_COMMAND = "/usr/bin/liveso"

logger = logging.getLogger("dnf")


class Liveso(dnf.Plugin):
    name = "liveso"

    def __init__(self, base, cli):
        super().__init__(base, cli)
        self._command = _COMMAND
        self._is_begun = False

    def config(self):
        try:
            parser = self.read_config(self.base.conf)
            if parser.has_section("main") and parser.has_option("main", "command"):
                self._command = parser.get("main", "command")
        except Exception:  # a file that cannot be read: what it would have said is not known
            logger.debug("liveso: its configuration cannot be read", exc_info=True)

    def pre_transaction(self):
        """dnf has checked the packages, and rpm is about to unpack them."""
        transaction = self.base.transaction
        self._is_begun = bool(transaction) and self.base.conf.installroot == "/"
        if not self._is_begun:
            return
        try:
            files = [os.path.abspath(it.localPkg()) for it in transaction.install_set]
        except Exception:  # an error of dnf's own kind would end the transaction
            logger.debug("liveso: the packages' files are not known", exc_info=True)
            files = []
        self._run("before-unpacking", "".join(it + "\n" for it in files), _BEFORE)

    def transaction(self):
        """All files are in their places. dnf runs this once, and also where there was nothing to do."""
        if not self._is_begun:
            return
        self._is_begun = False
        try:
            said = self._run("after-unpacking", "", _AFTER)
        except KeyboardInterrupt:  # somebody does not want to wait; the transaction is done, and dnf goes on
            return
        for line in said.splitlines():
            if line.startswith("liveso: "):
                logger.info("%s", line)

    def _run(self, command, text, limit):
        """What a command of liveso's says; nothing where there is none, where it fails, or takes too long."""
        if not os.access(self._command, os.X_OK):
            return ""
        try:
            with tempfile.TemporaryFile() as file:  # SIGPIPE ends dnf where a pipe is not read
                file.write(text.encode("utf-8", "surrogateescape"))
                file.seek(0)
                done = subprocess.run(
                    [self._command, command],
                    stdin=file,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    timeout=limit,
                )
        except (OSError, ValueError, subprocess.SubprocessError):
            logger.debug("liveso: %s did not answer", command, exc_info=True)
            return ""
        return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
