"""Checks that a function runs on the processor architecture that its artifact was built for.

`sam build` does not pass the template's `Architecture` to the Makefile, so the build cannot notice a difference. The
artifact names its architecture, and the function compares it before it loads the first library. Otherwise Lambda would
report a missing module of some library, which tells neither the cause nor the remedy.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Final

FILE: Final = "machine.txt"
"""At an artifact's root; missing when functions run from the sources."""
ARCHITECTURES: Final = {"aarch64": "arm64", "x86_64": "x86_64"}
"""The kernel's names of Lambda's architectures, and those of `template.yaml`."""


class WrongMachineError(RuntimeError):
    """The artifact was built for another architecture; the text says what to do."""


def check(root: Path = Path(__file__).parents[2], running_on: str | None = None) -> None:
    """Compares the artifact's architecture with the machine's; reads a file of ten bytes, in some 20 µs.

    Args:
        root: the artifact's folder.
        running_on: the kernel's name of the architecture; the current one if None.

    Raises:
        WrongMachineError: they differ. A log line reports it too.
    """
    try:
        built_for = (root / FILE).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return
    running_on = running_on or os.uname().machine
    if built_for == running_on:
        return
    text = (
        f"This artifact was built for {built_for}, but the function runs on {running_on}. Build it for that with "
        f"`ARTIFACT_PLATFORM={running_on}-manylinux2014 sam build` and deploy again, or deploy with "
        f"Architecture={ARCHITECTURES.get(built_for, built_for)}."
    )
    # Not with the logger: its library is not loaded yet.
    sys.stdout.write(json.dumps({"level": "ERROR", "message": "machine", "detail": text}) + "\n")
    sys.stdout.flush()
    raise WrongMachineError(text)
