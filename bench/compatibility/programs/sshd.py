"""OpenSSH's server: lines that a command in a session sends back, in many sessions one after another.

It takes connections as root only, keeps what is not logged in yet in an empty root, and executes itself for each
connection. The user that it needs for that, and its folder, are there in mounts of its own.
"""

import subprocess

from bench.compatibility.load import Connection
from bench.compatibility.site import Site

_CONFIGURATION = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
AuthorizedKeysFile {folder}/user_key.pub
MaxStartups 100
"""
_USERS = "root:x:0:0::/:/bin/sh\nsshd:x:65533:65534::/run/sshd:/bin/false\n"
_START = """
mount --bind {folder}/passwd /etc/passwd && mount -t tmpfs none /run && mkdir -m 755 /run/sshd &&
    exec {program} -D -e -f {folder}/sshd_config
"""
_ECHO = 'while read -r line; do echo "answer $line"; done'


def start(site: Site) -> None:
    for name in ("host_key", "user_key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(site.folder / name)]
        subprocess.run(command, check=True)
    (site.folder / "passwd").write_text(_USERS)
    (site.folder / "sshd_config").write_text(_CONFIGURATION.format(port=site.port, folder=site.folder))
    script = _START.format(folder=site.folder, program=site.root / "usr/sbin/sshd")
    site.start("unshare", "--mount", "--propagation", "private", "sh", "-c", script)
    site.wait_for_port()


class _Session:
    def __init__(self, site: Site) -> None:
        options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        command = ["ssh", "-F", "none", "-i", str(site.folder / "user_key"), "-p", str(site.port)]
        self._client = subprocess.Popen(
            [*command, *(word for it in options for word in ("-o", it)), "root@127.0.0.1", _ECHO],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def request(self, number: int) -> str:
        assert self._client.stdin and self._client.stdout
        self._client.stdin.write(f"{number}\n")
        answer = self._client.stdout.readline()
        if not answer:
            raise ConnectionError("closed by the server")
        return "" if answer == f"answer {number}\n" else f"{answer[:60]!r}"

    def close(self) -> None:
        self._client.communicate(timeout=60)


def connect(site: Site, _index: int) -> Connection:
    return _Session(site)
