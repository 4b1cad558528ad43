"""Which file systems do not tell of every change: what other machines or programs do behind them makes no event."""

import os
from functools import lru_cache
from pathlib import Path

from liveso.withheld import in_time

_SILENT = {"9p", "afs", "ceph", "cifs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "proc", "smb3", "smbfs", "sysfs"}
_SILENT |= {"gfs2", "virtiofs", "vboxsf", "vmhgfs"}


def silent_kind(folder: str) -> str:
    """The kind of the file system that a folder lies on, if that has no inotify(7) events for changes made elsewhere:
    on the network, in another machine, in the kernel or in a program (FUSE). Empty for all others."""
    try:
        device = in_time(folder, lambda: os.stat(folder)).st_dev
    except OSError:
        return ""
    kind = _kind(device)
    return kind if kind in _SILENT or kind.split(".")[0] in ("fuse", "fuseblk") else ""


@lru_cache(4096)
def _kind(device: int) -> str:
    """proc_pid_mountinfo(5): the device is the third field, the kind the first behind a dash."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    fields = next((line.split() for line in lines if line.split()[2] == wanted), [])
    return fields[fields.index("-") + 1] if "-" in fields else ""
