"""What a probe answers to what it is asked."""

from __future__ import annotations

import re
import subprocess

TIMEOUT_S = 100


def conversation(probe: str, text: bytes) -> list[str]:
    """What the probe answers to all of the input, without its greeting."""
    done = subprocess.run([probe, "serve"], check=True, input=text, stdout=subprocess.PIPE, timeout=TIMEOUT_S)
    greeting, *answers = done.stdout.decode("ascii").splitlines()
    assert re.fullmatch(r"zonectl-probe 1( [a-z0-9-]+)+", greeting)
    return answers


def ask(probe: str, *requests: str) -> list[str]:
    return conversation(probe, "".join(f"{request}\n" for request in requests).encode())


def nanoseconds(answer: str) -> int:
    found = re.fullmatch(r"ok ([0-9]+)", answer)
    assert found, answer
    return int(found[1])
