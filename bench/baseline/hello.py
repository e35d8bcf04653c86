"""Floor B: the least that FastAPI under Mangum can be."""

from __future__ import annotations

from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()


@app.get("/v1/channels")
async def hello() -> dict[str, str]:
    """Says that it is there."""
    return {"hello": "world"}


handler = Mangum(app, lifespan="off")
