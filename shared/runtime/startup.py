"""What makes a container start sooner: ``begin`` before the framework is loaded, ``end`` when its function is ready.

What each of these brings: ``docs/adr/0011-cold-starts.md``.
"""

from __future__ import annotations

import gc
import os

from pydantic import BaseModel, ConfigDict


def begin() -> None:
    """Loading makes objects that stay: nothing is worth collecting, and few of the models are ever used.

    FastAPI declares some fifty models of OpenAPI documents; deferred, they are built when they are first needed, which
    is never in a function. Ours say themselves that they are not deferred.
    """
    gc.disable()
    BaseModel.model_config = ConfigDict(defer_build=True)


def end() -> None:
    """What is loaded is left alone by every collection to come."""
    gc.freeze()
    gc.enable()


def on_lambda() -> bool:
    """Whether a Lambda container starts here, which has more of the processor before its first request than after."""
    return "AWS_LAMBDA_RUNTIME_API" in os.environ
