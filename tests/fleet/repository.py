"""A signed apt repository on loopback, with liveso's package and one whose library changes from version to version."""

import subprocess
import threading
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LIBRARY = r"""
#include <stdlib.h>
#include <unistd.h>
const char *greeting(void)
{
#ifdef CRASHES
	if (access("/etc/crashes", F_OK) == 0)
		abort();
#endif
	return "version " VERSION;
}
#ifndef WITHOUT_OLD
const char *old_greeting(void) { return "old " VERSION; }
#endif
"""
PROGRAM = r"""
#include <stdio.h>
#include <unistd.h>
const char *NAME(void);
int main(int count, char **arguments)
{
	char new[4096];
	snprintf(new, sizeof new, "%s.new", arguments[count - 1]);
	for (;; usleep(20000)) {
		FILE *file = fopen(new, "w");
		fprintf(file, "%s\n", NAME());
		fclose(file);
		rename(new, arguments[count - 1]);
	}
}
"""
PACKAGE = "libgreeting1"
SONAME = "libgreeting.so.1"
WHERE = "usr/lib/x86_64-linux-gnu"
KEYRING = "/etc/apt/keyrings/liveso.asc"
_UNIT = "[Service]\nExecStart=/usr/bin/{0} /run/{0}\nRestart=on-failure\n[Install]\nWantedBy=multi-user.target\n"


def new_key(folder: Path, name: str) -> Path:
    """The public half of a new key, as text; the other one lies in a folder beside it."""
    key = folder / f"{name}.asc"
    _home(key).mkdir(mode=0o700)
    _gpg(key, "--quick-generate-key", name, "ed25519", "sign", "never")
    key.write_text(_gpg(key, "--armor", "--export"))
    return key


def _home(key: Path) -> Path:
    return key.with_suffix(".gnupg")


def _gpg(key: Path, *arguments: str, text: str = "") -> str:
    """What gpg prints; the agent that it starts does not outlive it."""
    command = ["gpg", "--batch", "--quiet", "--homedir", str(_home(key)), "--passphrase", "", *arguments]
    done = subprocess.run(command, input=text, text=True, check=True, stdout=subprocess.PIPE)
    subprocess.run(["gpgconf", "--homedir", str(_home(key)), "--kill", "all"], check=True)
    return done.stdout


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


class Repository:
    """A folder with packages, which is served; `publish` puts another version of the library there.

    `line` is for sources.list(5), and names `key` where the role puts it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._work, self._number = folder / "repository", folder / "packages", 0
        self.folder.mkdir()
        self._work.mkdir()
        self.key = new_key(folder, "repository")
        handler = partial(Quiet, directory=str(self.folder))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.line = f"deb [signed-by={KEYRING}] http://127.0.0.1:{self._server.server_port}/ ./"
        self.publish()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def publish(self, *traits: str) -> str:
        """Another version, with the `traits` that are macros of LIBRARY; what it says when it runs."""
        self._number += 1
        version = f"{self._number}.0"
        root = self._work / version
        (root / WHERE).mkdir(parents=True)
        file = f"{SONAME}.{version}"
        macros = [f'-DVERSION="{version}"', *(f"-D{it}" for it in traits)]
        options = ["-O2", "-shared", "-fPIC", f"-Wl,-soname,{SONAME}", "-o", str(root / WHERE / file)]
        subprocess.run(["gcc", "-x", "c", "-", *macros, *options], input=LIBRARY, text=True, check=True)
        (root / WHERE / SONAME).symlink_to(file)
        (root / "DEBIAN").mkdir()
        (root / "DEBIAN/control").write_text(
            f"Package: {PACKAGE}\nVersion: {version}\nArchitecture: amd64\nMaintainer: nobody <nobody@example.org>\n"
            "Description: greets\n"
        )
        (root / "DEBIAN/triggers").write_text("activate-noawait ldconfig\n")
        build = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", str(root), str(self.folder)]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        self.index()
        return f"version {version}"

    def index(self) -> None:
        """Write the list of all packages that are there, as apt reads it, and sign it."""
        parts = []
        for file in sorted(self.folder.glob("*.deb")):
            control = subprocess.run(["dpkg-deb", "-f", file], check=True, capture_output=True, text=True).stdout
            content = file.read_bytes()
            facts = f"Filename: ./{file.name}\nSize: {len(content)}\nSHA256: {sha256(content).hexdigest()}\n"
            parts.append(control.rstrip("\n") + "\n" + facts)
        packages = "\n".join(parts).encode()
        (self.folder / "Packages").write_bytes(packages)
        digest = f" {sha256(packages).hexdigest()} {len(packages)} Packages\n"
        release = f"Date: {format_datetime(datetime.now(UTC), usegmt=True)}\nSHA256:\n{digest}"
        (self.folder / "InRelease").write_text(_gpg(self.key, "--clear-sign", text=release))

    def first(self) -> dict[str, bytes]:
        """What a machine has from the beginning: services, and the package of the library, to be installed."""
        library = self._work / "1.0" / WHERE / f"{SONAME}.1.0"
        files = {f"/srv/{PACKAGE}.deb": (self.folder / f"{PACKAGE}_1.0_amd64.deb").read_bytes()}
        for program, function in (("greeter", "greeting"), ("oldster", "old_greeting")):
            there = self._work / program
            command = ["gcc", "-O2", "-x", "c", "-", "-x", "none", str(library), f"-DNAME={function}", "-o", str(there)]
            subprocess.run(command, input=PROGRAM, text=True, check=True)
            files[f"/usr/bin/{program}"] = there.read_bytes()
            files[f"/etc/systemd/system/{program}.service"] = _UNIT.format(program).encode()
        return files
