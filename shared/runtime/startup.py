"""Speeds up a container's start: ``begin`` runs before the framework is loaded, ``end`` when the function is ready.

``docs/adr/0011-cold-starts.md`` says how much each measure saves.
"""

from __future__ import annotations

import gc
import os

from pydantic import BaseModel, ConfigDict


def begin() -> None:
    """Stops the garbage collector, as the loaded objects all stay, and defers building Pydantic's models.

    FastAPI declares some fifty models for OpenAPI documents; deferred, they are built at their first use, which never
    happens in a function. Our own models opt out.
    """
    gc.disable()
    BaseModel.model_config = ConfigDict(defer_build=True)


def end() -> None:
    """Excludes the loaded objects from all later collections, and starts the garbage collector again."""
    gc.freeze()
    gc.enable()


def on_lambda() -> bool:
    """Whether this is a Lambda container; these get more CPU before their first request than after."""
    return "AWS_LAMBDA_RUNTIME_API" in os.environ
