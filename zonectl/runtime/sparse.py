"""The base of a sparse root: the host's /usr is shown, and everything else is made up here.

Whatever an id-mapped view shows, the zone's root may read as the host's root may. So what is shown is listed, never
what is hidden: /usr, mounted by the plan, and from /etc only what describes /usr and holds no secret.
"""

from __future__ import annotations

import os
import shutil
import stat

BASE = "base"

_FOLDERS = {
    "dev": 0o755,
    "etc": 0o755,
    "home": 0o755,
    "mnt": 0o755,
    "opt": 0o755,
    "proc": 0o755,
    "root": 0o700,
    "run": 0o755,
    "srv": 0o755,
    "sys": 0o755,
    "tmp": 0o1777,
    "usr": 0o755,
    "var": 0o755,
    "var/cache": 0o755,
    "var/lib": 0o755,
    "var/log": 0o755,
    "var/spool": 0o755,
    "var/tmp": 0o1777,
}
_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = (
    "alternatives",
    "bash.bashrc",
    "debian_version",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "os-release",
    "profile",
    "protocols",
    "services",
    "ssl/certs",
    "terminfo",
)
_MADE = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"
    "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/shells": "/bin/sh\n/bin/bash\n",
}


def build(base: str) -> str:
    """Make the base of a sparse root in the folder `base`; returns it. What is there already is replaced.

    Raises:
        OSError: something cannot be made.

    """
    if os.path.lexists(base):
        shutil.rmtree(base)
    _make_folder(base, 0o755)
    for name, mode in _FOLDERS.items():
        _make_folder(f"{base}/{name}", mode)
    for name in _LINKS:
        if os.path.islink(f"/{name}"):
            os.symlink(f"usr/{name}", f"{base}/{name}")
    for path, text in _MADE.items():
        with open(f"{base}/{path}", "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o644)  # whatever the caller's umask
            file.write(text)
    _make_folder(f"{base}/etc/ssl", 0o755)
    for name in _ETC:
        _copy(f"/etc/{name}", f"{base}/etc/{name}")
    return base


def _make_folder(path: str, mode: int) -> None:
    os.mkdir(path)
    os.chmod(path, mode)  # whatever the caller's umask


def _copy(source: str, target: str) -> None:
    """Copy what anyone may read: links as links, files and folders that are readable by all; the rest is left out."""
    try:
        found = os.lstat(source)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(source), target)
    elif stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_IROTH:
        _make_folder(target, 0o755)
        for name in sorted(os.listdir(source)):
            _copy(f"{source}/{name}", f"{target}/{name}")
    elif stat.S_ISREG(found.st_mode) and found.st_mode & stat.S_IROTH:
        shutil.copyfile(source, target)
        os.chmod(target, stat.S_IMODE(found.st_mode) & 0o755)
