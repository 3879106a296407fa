"""Write the command that people type.

    python launcher.py BIN PACKAGE_DIR [SITE_DIR...]

BIN becomes an executable that runs `zonectl.client.main(argv, site=SITE_DIRS)` with the real interpreter of the
environment which runs this script. PACKAGE_DIR is the folder that holds the package zonectl; the client appends the
SITE_DIRs to sys.path before it imports more than itself.

An ordinary console script costs 9 ms more, which is more than the rest of a warm command: `-S` leaves out the site
module (and with it virtual environments, hence the folders written out below), `-I` keeps PYTHONPATH and the working
directory of whoever calls from deciding what root imports. A python3 found on the PATH may be a shim that costs 100 ms,
so that the interpreter is named by its path with every link resolved.
"""

import os
import sys

# The kernel reads this much of a first line (BINPRM_BUF_SIZE, include/uapi/linux/binfmts.h); it takes one argument.
SHEBANG_BYTES = 255

LAUNCHER = """\
#!{interpreter} -IS
import sys

# Last, so that nothing beside the package hides a module of the standard library.
sys.path.append({package_dir!r})

from zonectl.client import main

sys.exit(main(sys.argv[1:], site={site!r}))
"""


def real_interpreter() -> str:
    """The interpreter below this environment: never a link in .venv/bin, never a shim."""
    return os.path.realpath(sys.executable)


def launcher_text(*, interpreter: str, package_dir: str, site: tuple[str, ...]) -> str:
    """The launcher as text; ValueError if the kernel would not read its first line."""
    text = LAUNCHER.format(interpreter=interpreter, package_dir=package_dir, site=site)
    first_line = text.splitlines()[0]
    if len(os.fsencode(first_line)) > SHEBANG_BYTES or any(c.isspace() for c in interpreter):
        msg = f"the kernel cannot run an interpreter of this path: {interpreter}"
        raise ValueError(msg)
    return text


def write_executable(path: str, text: str) -> None:
    """Replace `path` at once: a command that is being started reads the old one or the new one."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as launcher:
        launcher.write(text)
        os.fchmod(launcher.fileno(), 0o755)
    os.replace(temporary, path)


def main(argv: list[str]) -> int:
    """See the module; returns the exit status."""
    if len(argv) < 2:  # noqa: PLR2004 - BIN and PACKAGE_DIR
        sys.stderr.write("usage: launcher.py BIN PACKAGE_DIR [SITE_DIR...]\n")
        return 2
    path, package_dir, *site = argv
    text = launcher_text(
        interpreter=real_interpreter(),
        package_dir=os.path.abspath(package_dir),
        site=tuple(os.path.abspath(folder) for folder in site),
    )
    write_executable(path, text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
