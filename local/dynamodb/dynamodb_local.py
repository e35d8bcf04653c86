"""DynamoDB Local, AWS's own engine: the optional reference.

Its licence requires an AWS account and forbids redistribution, so it is not part of this project. To use it, download
it with `python -m local.dynamodb.dynamodb_local`, from the npm package in which AWS publishes it.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

_PACKAGE: Final = "amplify-dynamodb-simulator"
_VERSION: Final = "2.9.30"
_SHA256: Final = "3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9"
_INSIDE: Final = "package/emulator/"
_MINIMUM_JAVA: Final = 17
_CONFIGURATION: Final = Path(__file__).with_name("dynamodb_local.xml")


class UnavailableError(RuntimeError):
    """DynamoDB Local cannot run here; the text says what is missing."""


def is_fetched(home: Path) -> bool:
    """Tell whether the directory contains the engine."""
    return (home / "DynamoDBLocal.jar").exists()


def require_java() -> str:
    """Return the path of `java`.

    Raises:
        UnavailableError: there is none, or it is older than 17.
    """
    java = shutil.which("java")
    # The /usr/bin/java of macOS may only tell you to install Java, so finding it proves nothing.
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False) if java else None
    version = re.search(r'version "(\d+)', said.stderr) if said else None
    if java is None or version is None or int(version[1]) < _MINIMUM_JAVA:
        found = f"version {version[1]} was found" if version else "none was found"
        raise UnavailableError(f"DynamoDB Local needs Java {_MINIMUM_JAVA} or later; {found}")
    return java


def fetch(home: Path) -> None:
    """Download the engine (57 MB) into a directory.

    Raises:
        UnavailableError: Java or npm is missing, or the download failed or is not the known file.
    """
    require_java()
    npm = shutil.which("npm")
    if npm is None:
        raise UnavailableError("DynamoDB Local is fetched with npm, and none was found")
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        archive = _download(npm, Path(scratch))
        unpacked = Path(scratch) / "engine"
        _unpack(archive, unpacked)
        shutil.rmtree(home, ignore_errors=True)
        unpacked.replace(home)


def command(home: Path, port: int, state: Path) -> list[str]:
    """Return the arguments that run the engine on 127.0.0.1 with its database in `state`.

    Raises:
        UnavailableError: there is no Java 17 or later.
    """
    return [
        require_java(),
        f"-Djava.library.path={home / 'DynamoDBLocal_lib'}",
        "-Djava.net.preferIPv4Stack=true",
        "-Dorg.eclipse.jetty.LEVEL=WARN",
        f"-Dbudgie.port={port}",
        f"-Dbudgie.directory={state}",
        "-cp",
        f"{home / 'DynamoDBLocal.jar'}:{home / 'DynamoDBLocal_lib'}/*",
        "org.eclipse.jetty.xml.XmlConfiguration",
        str(_CONFIGURATION),
    ]


def environment() -> dict[str, str]:
    """Return the variables that the engine needs beside PATH: no telemetry (`-disableTelemetry`)."""
    return {"DDB_LOCAL_TELEMETRY": "0"}


def _download(npm: str, into: Path) -> Path:
    packed = subprocess.run(
        [npm, "pack", "--silent", f"{_PACKAGE}@{_VERSION}"],
        cwd=into,
        capture_output=True,
        text=True,
        check=False,
    )
    archive = into / f"{_PACKAGE}-{_VERSION}.tgz"
    if packed.returncode or not archive.exists():
        raise UnavailableError(f"npm could not fetch {_PACKAGE} {_VERSION}: {packed.stderr.strip()[-500:]}")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != _SHA256:
        raise UnavailableError(f"{archive.name} is not the file that this project knows")
    return archive


def _unpack(archive: Path, into: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content and member.name.startswith(f"{_INSIDE}DynamoDBLocal"):
                target = into / member.name.removeprefix(_INSIDE)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    shutil.copyfileobj(content, file)


def main() -> int:
    """Download DynamoDB Local into `.local/` of this project, unless it is there."""
    home = Path(__file__).resolve().parents[2] / ".local" / "dynamodb-local"
    try:
        require_java()
        if not is_fetched(home):
            print("fetching DynamoDB Local (57 MB)", flush=True)
            fetch(home)
    except UnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
