"""Compile the client in C.

    python accelerator.py BIN LAUNCHER

BIN becomes an executable that hands calls to zoned itself, and executes LAUNCHER (tools/launcher.py writes that) for
all that it leaves to the client in Python; see client/zonectl.c. What both must agree on is taken from the package.
The exit status is 3 where there is no C compiler: BIN is then to be written by tools/launcher.py.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
NO_COMPILER = 3
FLAGS = (
    *("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"),
    *("-D_GNU_SOURCE", "-D_FORTIFY_SOURCE=2", "-fstack-protector-strong", "-fPIE"),
    # Static: the dynamic linker would take half of the program's time.
    *("-static-pie", "-Wl,-z,relro,-z,now,-z,noexecstack"),
)


def config(launcher: str, version: str) -> str:
    """The text of config.h."""
    from zonectl.daemon import verbs  # noqa: PLC0415 - as a script, this folder is not on the path before

    lines = {
        "VERSION": _text(version),
        "LAUNCHER": _text(launcher),
        "RUN": _text(verbs.DEFAULT_RUN),
        "WARM": ", ".join(map(_text, sorted(verbs.WARM))),
        "FOREGROUND": ", ".join(map(_text, sorted(verbs.FOREGROUND))),
        "PASSED_OVER": _text("--debug"),
    }
    return "".join(f"#define {name} {value}\n" for name, value in lines.items())


def compile_client(path: str, launcher: str, *, version: str) -> None:
    """Replace `path` by the client in C that falls back to `launcher`.

    Raises:
        FileNotFoundError: there is no C compiler.
        subprocess.CalledProcessError: it fails.

    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise FileNotFoundError("cc")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.h").write_text(config(launcher, version), encoding="utf-8")
        temporary = f"{path}.{os.getpid()}"
        source = str(TOP / "client" / "zonectl.c")
        subprocess.run([compiler, *FLAGS, "-I", folder, "-o", temporary, source], check=True)
    os.replace(temporary, path)


def _text(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        msg = f"not for a C program: {value!r}"
        raise ValueError(msg)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def main(argv: list[str]) -> int:
    """See the module; returns the exit status."""
    if len(argv) != 2:  # noqa: PLR2004 - BIN and LAUNCHER
        sys.stderr.write("usage: accelerator.py BIN LAUNCHER\n")
        return 2
    import zonectl  # noqa: PLC0415 - see above

    try:
        compile_client(argv[0], os.path.abspath(argv[1]), version=zonectl.__version__)
    except FileNotFoundError:
        return NO_COMPILER
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(TOP))
    sys.exit(main(sys.argv[1:]))
