from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.vm.lane import guest
from tests.vm.lane.kernel_package import Kernel
from tests.vm.lane.modules import StaticNode

KERNEL = Kernel(image=Path("/cache/vmlinux"), modules=Path("/cache/lib/modules/6.12.1"))


def command(*argv: str, **environment: str) -> str:
    script = guest.Command(argv=argv, environment=environment, folder=Path("/"), umask=0o027)
    return guest.command_script(script)


def output(script: str) -> str:
    done = subprocess.run(["sh", "-c", script], env={}, capture_output=True, text=True, check=True)
    return done.stdout


def test_command_gets_its_arguments_as_they_are() -> None:
    words = ["two words", "'", '"', "$HOME", "new\nline", ""]
    assert output(command("/usr/bin/printf", "%s|", *words)) == "".join(f"{word}|" for word in words)


def test_command_gets_the_environment_folder_and_umask() -> None:
    script = command("/bin/sh", "-c", 'echo "$NAME"; pwd; umask', NAME="it's $x")
    assert output(script).splitlines() == ["it's $x", "/", "0027"]


def test_session_variables_and_names_that_no_shell_takes_stay_behind() -> None:
    script = command(
        "/usr/bin/env", **{"PWD": "/x", "TMPDIR": "/x", "BASH_FUNC_f%%": "() {", "1A": "", "KEPT": ""}
    )
    exported = [line.partition("=")[0] for line in script.splitlines() if line.startswith("export")]
    assert exported == ["export KEPT"]


def test_command_does_not_run_in_another_folder_than_asked_for() -> None:
    missing = guest.Command(argv=("echo",), environment={}, folder=Path("/no/such/folder"), umask=0o022)
    done = subprocess.run(["sh", "-c", guest.command_script(missing)], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (125, b"")


def test_only_folders_inside_tmp_are_kept_each_once() -> None:
    folders = [Path(path) for path in ("/tmp/b c", "/tmp/a", "/tmp/a", "/tmp", "/srv", "/tmpfs")]
    assert guest.kept(folders) == "keep /tmp/a\nkeep '/tmp/b c'\n"


def test_shares_are_mounted_where_they_are_on_the_host() -> None:
    assert guest.shares({"rw0": Path("/srv/it's")}) == "share rw0 '/srv/it'\"'\"'s'\n"


def test_nodes_are_made_with_their_numbers() -> None:
    assert (
        guest.nodes([StaticNode(path="net/tun", kind="c", major=10, minor=200)]) == "node net/tun c 10 200\n"
    )


def test_settings_name_the_kernel_and_the_disk() -> None:
    assert guest.settings(KERNEL, token="t", disk="").splitlines() == [
        "MODULES=/cache/lib/modules/6.12.1",
        "RELEASE=6.12.1",
        "TOKEN=t",
        "DISK=''",
    ]


@pytest.mark.parametrize("name", ["initramfs", "system", "session"])
def test_stage_is_a_shell_script(name: str) -> None:
    subprocess.run(["sh", "-n"], input=guest.stage(name), check=True)
