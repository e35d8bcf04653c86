"""The floor of cold starts: a minimal FastAPI app under Mangum."""

from __future__ import annotations

from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()


@app.get("/v1/channels")
async def hello() -> dict[str, str]:
    """Return a constant."""
    return {"hello": "world"}


handler = Mangum(app, lifespan="off")
