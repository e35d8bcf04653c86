"""Whether a function runs on the kind of processor that its artifact was built for.

`sam build` tells the Makefile nothing of the template's `Architecture`, so the build cannot see that the two differ.
The artifact says what it was built for, and the function compares before it loads the first library: else Lambda would
report that some module of a library is missing, which names neither the cause nor what to do.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Final

FILE: Final = "machine.txt"
"""At an artifact's root; missing where functions run from the sources."""
ARCHITECTURES: Final = {"aarch64": "arm64", "x86_64": "x86_64"}
"""What `template.yaml` calls the machines of Lambda."""


class WrongMachineError(RuntimeError):
    """The artifact was built for another kind of processor; the text says what to do."""


def check(root: Path = Path(__file__).parents[2], running_on: str | None = None) -> None:
    """Does nothing where an artifact runs on what it was built for: a file of ten bytes is read, in some 20 µs.

    Args:
        root: where the artifact lies.
        running_on: the machine as the kernel names it; asked for if None.

    Raises:
        WrongMachineError: it does not. A line of the log says so as well.
    """
    try:
        built_for = (root / FILE).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return
    running_on = running_on or os.uname().machine
    if built_for == running_on:
        return
    text = (
        f"This artifact was built for {built_for}, and the function runs on {running_on}. Build it for that with "
        f"`ARTIFACT_PLATFORM={running_on}-manylinux2014 sam build` and deploy again, or deploy with "
        f"Architecture={ARCHITECTURES.get(built_for, built_for)}."
    )
    # No library is loaded yet, the logger's neither.
    sys.stdout.write(json.dumps({"level": "ERROR", "message": "machine", "detail": text}) + "\n")
    sys.stdout.flush()
    raise WrongMachineError(text)
