"""Compile the client in C, and zonectl-entry.

    python accelerator.py BIN LAUNCHER
    python accelerator.py --entry PATH

BIN becomes an executable that hands calls to zoned itself, and executes LAUNCHER (tools/launcher.py writes that) for
all that it leaves to the client in Python; see client/zonectl.c. What both must agree on is taken from the package.
PATH becomes the program of native/, for which neither is needed. Both are static.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
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
        "COLD": _text("--no-daemon"),
    }
    return "".join(f"#define {name} {value}\n" for name, value in lines.items())


def compile_client(path: str, launcher: str, *, version: str) -> None:
    """Replace `path` by the client in C that falls back to `launcher`.

    Raises:
        FileNotFoundError: there is no C compiler.
        subprocess.CalledProcessError: it fails.

    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.h").write_text(config(launcher, version), encoding="utf-8")
        _compile(path, "client/zonectl.c", options=("-I", folder))


def compile_entry(path: str) -> None:
    """Replace `path` by the program of native/; its folder is made if it is missing.

    Raises:
        FileNotFoundError: there is no C compiler.
        subprocess.CalledProcessError: it fails.

    """
    _compile(path, *sorted(map(str, (TOP / "native").glob("*.c"))))


def _compile(path: str, *sources: str, options: tuple[str, ...] = ()) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise FileNotFoundError("cc")
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    subprocess.run(
        [compiler, *FLAGS, *options, "-o", temporary, *(str(TOP / source) for source in sources)], check=True
    )
    os.chmod(temporary, 0o755)  # noqa: S103 - whatever the umask: a zone's users are others to files of the host
    os.replace(temporary, path)


def _text(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        msg = f"not for a C program: {value!r}"
        raise ValueError(msg)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def main(argv: list[str]) -> int:
    """See the module; returns the exit status."""
    if len(argv) != 2:  # noqa: PLR2004 - BIN and LAUNCHER, or --entry and PATH
        sys.stderr.write("usage: accelerator.py BIN LAUNCHER | --entry PATH\n")
        return 2
    first, second = argv
    try:
        if first == "--entry":
            compile_entry(second)
        else:
            import zonectl  # noqa: PLC0415 - see above

            compile_client(first, os.path.abspath(second), version=zonectl.__version__)
    except FileNotFoundError:
        sys.stderr.write("accelerator.py: there is no C compiler: apt install gcc libc6-dev\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(TOP))
    sys.exit(main(sys.argv[1:]))
