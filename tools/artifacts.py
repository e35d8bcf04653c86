"""Builds what is deployed: `python -m tools.artifacts ListChannelsFunction DIRECTORY`, called by `sam build`.

An artifact contains its handler, `shared/` and only the dependencies that it needs, all with bytecode. Builds from the
same sources with the same Python are bit-identical. Requires only the standard library and `uv`.

Variables: `ARTIFACT_PLATFORM` is where it will run: Lambda (the default) or `local`, this machine and this Python.
`ARTIFACT_PYTHON` names a Python 3.13, whose bytecode Lambda can read, if none is found. `ARTIFACT_SEALED=1` adds the
library that encrypts cached values, for deployments that use it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from shared.runtime.machine import FILE as MACHINE_FILE

ROOT: Final = Path(__file__).resolve().parents[1]
CACHE: Final = ROOT / ".local/artifacts"
LAMBDA: Final = "aarch64-manylinux2014"
"""uv's name for arm64, as in `template.yaml`."""
LAMBDA_PYTHON: Final = "3.13"
LOCAL: Final = "local"
TASK_ROOT: Final = "/var/task"
"""Where Lambda puts an artifact: the path in tracebacks."""
USES_REDIS: Final = frozenset({"list_channels", "fetch_messages", "check_health"})
"""Functions that also need the Redis client; `tests/artifacts` checks this against the code."""
LEFT_OUT: Final = frozenset({"shared/storage/memory", "shared/web/response_models.py", "shared/web/docs.py"})
"""Files and folders of `shared/` that only tests, benchmarks and the OpenAPI document use."""
FIXED_TIME: Final = 1_577_836_800
"""2020-01-01: zip files store times, but none before 1980."""
NOISE: Final = frozenset(
    {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"}
)
_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


class PythonMissingError(RuntimeError):
    """There is no Python whose bytecode Lambda can read."""


@dataclass(frozen=True)
class Target:
    """Where an artifact will run. `platform` is uv's name for it, or `local`."""

    platform: str
    python: str
    """The interpreter that compiles the bytecode."""
    encrypted: bool = False
    """Whether it can encrypt cached values."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Target:
        """The target that these variables name.

        Raises:
            PythonMissingError: it needs a Python that is not there.
        """
        platform = environ.get("ARTIFACT_PLATFORM", "") or LAMBDA
        python = environ.get("ARTIFACT_PYTHON", "")
        if not python:
            python = sys.executable if platform == LOCAL else find_python(environ)
        return cls(platform, python, environ.get("ARTIFACT_SEALED", "") not in {"", "0"})

    @property
    def machine(self) -> str:
        """The kernel's name for the target's processor: `aarch64` or `x86_64`."""
        name = os.uname().machine if self.platform == LOCAL else self.platform.partition("-")[0]
        return {"linux": "x86_64"}.get(name, name)  # uv's name for it

    def requirements(self, function: str) -> str:
        """The name of the requirements file of a function."""
        if function not in USES_REDIS:
            return "artifact"
        return "artifact-sealed" if self.encrypted and function != "check_health" else "artifact-redis"

    def install_arguments(self) -> list[str]:
        """Arguments that make uv choose wheels of the target."""
        if self.platform == LOCAL:
            return ["--python", self.python]
        return [
            *("--python-platform", self.platform),
            *("--python-version", LAMBDA_PYTHON),
            *("--only-binary", ":all:"),
        ]


def find_python(environ: Mapping[str, str]) -> str:
    """Finds a Python 3.13: on the path, in pyenv, or one that uv knows or can download.

    Raises:
        PythonMissingError: there is none.
    """
    home = Path(environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [sys.executable, shutil.which(f"python{LAMBDA_PYTHON}") or ""]
    found += [str(path) for path in sorted(home.glob(f"versions/{LAMBDA_PYTHON}.*/bin/python"))]
    for each in found:
        if each and python_version(each) == LAMBDA_PYTHON:
            return each
    uv = _uv()
    for command in (["find"], ["install", "--quiet"], ["find"]):
        done = subprocess.run(
            [uv, "python", *command, LAMBDA_PYTHON], capture_output=True, text=True, check=False
        )
        path = done.stdout.strip()
        if command == ["find"] and path and python_version(path) == LAMBDA_PYTHON:
            return path
    msg = (
        f"Building for Lambda needs Python {LAMBDA_PYTHON}; name one with ARTIFACT_PYTHON=/path/to/python3.13"
    )
    raise PythonMissingError(msg)


def python_version(python: str) -> str:
    """An interpreter's version, such as 3.13; empty if it does not run."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def build(function: str, directory: Path, target: Target, cache: Path = CACHE) -> None:
    """Builds a function's artifact.

    Args:
        function: the name of its folder, such as `list_channels`.
        directory: where to build; existing content is replaced.
        target: where it will run.
        cache: where installed dependencies are kept for the next function.
    """
    ours = {path.relative_to(ROOT).as_posix(): path for path in sources(function)}
    assemble(target.requirements(function), ours, directory, target, cache)


def assemble(
    requirements: str,
    files: Mapping[str, Path],
    directory: Path,
    target: Target,
    cache: Path = CACHE,
) -> None:
    """Builds an artifact of libraries and files.

    Args:
        requirements: a file of `requirements/`, without its extension.
        files: by their paths in the artifact.
        directory: where to build; existing content is replaced.
        target: where it will run.
        cache: as for `build`.
    """
    libraries = _libraries(requirements, target, cache)
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(libraries, directory)
    for place, source in files.items():
        copy = directory / place
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    (directory / MACHINE_FILE).write_text(f"{target.machine}\n", encoding="ascii")
    _compile(directory, sorted({place.split("/")[0] for place in files}), target)
    _settle(directory)


def sources(function: str) -> Iterator[Path]:
    """Our own files in a function's artifact."""
    yield ROOT / "functions/__init__.py"
    yield from sorted((ROOT / "functions" / function).glob("*.py"))
    for path in sorted((ROOT / "shared").rglob("*.py")):
        names = {each.relative_to(ROOT).as_posix() for each in (path, path.parent)}
        if not names & LEFT_OUT:
            yield path


def _libraries(requirements: str, target: Target, cache: Path) -> Path:
    """The installed and compiled dependencies, shared by all functions with the same requirements."""
    file = ROOT / f"requirements/{requirements}.txt"
    key = sha256(b"|".join([file.read_bytes(), target.platform.encode(), target.python.encode(), b"1"]))
    made = cache / f"{requirements}-{key.hexdigest()[:12]}"
    if made.is_dir():
        return made
    made.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=made.parent) as work:
        directory = Path(work, "libraries")
        subprocess.run(
            [
                *(_uv(), "pip", "install", "--quiet", "--link-mode", "copy", "--no-compile-bytecode"),
                *(
                    "--require-hashes",
                    "-r",
                    str(file),
                    "--target",
                    str(directory),
                    *target.install_arguments(),
                ),
            ],
            check=True,
        )
        _strip(directory)
        _compile(directory, (".",), target)
        directory.rename(made)
    return made


def _strip(directory: Path) -> None:
    """Removes files that only an installer needs; names, versions and licences of packages stay."""
    shutil.rmtree(directory / "bin", ignore_errors=True)
    (directory / ".lock").unlink(missing_ok=True)
    for path in directory.glob("*.dist-info/*"):
        if path.name in NOISE:
            path.unlink()


def _compile(directory: Path, places: Sequence[str], target: Target) -> None:
    """Compiles to bytecode that is not validated: Lambda changes the files' times when it unzips them."""
    options = ["-q", "-f", "--invalidation-mode", "unchecked-hash", "-s", str(directory), "-p", TASK_ROOT]
    # Otherwise the bytecode would contain sets in random order, and differ between builds.
    environ = {"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"}
    subprocess.run(
        [target.python, "-s", "-m", "compileall", *options, *(str(directory / each) for each in places)],
        check=True,
        env=environ,
    )


def _settle(directory: Path) -> None:
    """Sets the same time and mode everywhere, deepest first, as changing a file changes its folder."""
    for path in sorted(directory.rglob("*"), reverse=True):
        path.chmod(0o755 if path.is_dir() or path.suffix == ".so" else 0o644)
        os.utime(path, (FIXED_TIME, FIXED_TIME))
    os.utime(directory, (FIXED_TIME, FIXED_TIME))


def _uv() -> str:
    return str(Path(sys.executable).with_name("uv"))


def main(resource: str, directory: str) -> None:
    """Builds the artifact of a resource of `template.yaml`."""
    function = _CAPITAL.sub("_", resource.removesuffix("Function")).lower()
    try:
        build(function, Path(directory), Target.from_env(os.environ))
    except PythonMissingError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
