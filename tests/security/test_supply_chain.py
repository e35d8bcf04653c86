"""What is installed is what was reviewed: pinned, hashed, checked on every install, and of a known licence."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any, Final

from tests.cases import case
from tests.sources import tree_of
from tools import licences

ROOT: Final = Path(__file__).resolve().parents[2]
LOCKED: Final = sorted(ROOT.glob("requirements/*.txt"))
REQUIREMENT: Final = re.compile(r"[a-z0-9][a-z0-9._-]*(\[[a-z0-9,_-]+\])?==[^ ;]+( ; [^\\]+)?$")
HASH: Final = re.compile(r"--hash=sha256:[0-9a-f]{64}$")
PIPS: Final = re.compile(r"\bpip(3)?\s+(install|download|wheel)\b|\bpipx\b|\buvx\b|\buv\s+(sync|tool|add)\b")
NPM: Final = re.compile(r"\bnpm\s+(install|i|ci|exec)\b|\bnpx\b")
CHECKED_NPM: Final = re.compile(r"\bnpm ci --ignore-scripts\b")
"""Installs what a lock names, by its hashes, and runs nothing of it."""
TOOLS: Final = frozenset({"pip", "install"})
KNOWN: Final = frozenset(
    {
        "MIT", "MIT License", "MIT-0", "BSD-3-Clause", "Apache-2.0", "PSF-2.0", "MPL-2.0",
        "Apache-2.0 OR BSD-3-Clause",
    }
)  # fmt: skip
"""Licences under which what is deployed may be used and passed on by whoever deploys it; another needs a look."""


def unpinned(text: str) -> list[str]:
    """Lines of a requirements file that are no pinned requirement with hashes, and anything else that pip would do."""
    logical = re.sub(r"\\\n\s*", " \\ ", re.sub(r"^\s*#.*\n?", "", text, flags=re.MULTILINE))
    found = []
    for line in filter(str.strip, logical.splitlines()):
        requirement, *hashes = (part.strip() for part in line.split(" \\ "))
        if not REQUIREMENT.match(requirement) or not hashes or not all(map(HASH.match, hashes)):
            found.append(requirement)
    return found


def careless_lines(text: str) -> list[str]:
    """Lines of a Makefile or script that install something without checking it."""
    joined = text.replace("\\\n", " ")
    return [
        line.strip()
        for line in joined.splitlines()
        if (PIPS.search(line) and not line.lstrip().startswith("#") and "--require-hashes" not in line)
        or NPM.search(CHECKED_NPM.sub("", line))
    ]


def careless_calls(tree: ast.AST) -> list[int]:
    """Places in Python where an installer is called without checking: lists of arguments with `pip install`."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple):
            words = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
            if set(words) >= TOOLS and not is_part_of_checked(tree, node):
                found.append(node.lineno)
    return found


def is_part_of_checked(tree: ast.AST, node: ast.AST) -> bool:
    """Whether this list of arguments, or one that it is a part of, asks for hashes."""
    around = [each for each in ast.walk(tree) if isinstance(each, ast.List | ast.Tuple)]
    around = [each for each in around if node in ast.walk(each)]
    return any(
        isinstance(word, ast.Constant) and word.value == "--require-hashes"
        for each in around
        for word in ast.walk(each)
    )


def test_every_requirement_has_its_hashes() -> None:
    """One version each, by sha256, and nothing that names an index, a URL or a file."""
    for path in LOCKED:
        with case(path):
            text = path.read_text(encoding="utf-8")
            assert REQUIREMENT.search(text.partition(" \\")[0])
            assert unpinned(text) == []
            assert "://" not in text
            assert "-index" not in text


def unlocked(lock: dict[str, Any]) -> list[str]:
    """Packages of a package-lock.json that have no hash, or come from an address and not from the registry."""
    return [
        name
        for name, package in lock["packages"].items()
        if name and (not package.get("integrity", "").startswith("sha512-") or "resolved" in package)
    ]


def test_every_package_of_npm_has_its_hash() -> None:
    """One version each, by sha512, from any registry; the requested versions are exact."""
    folder = ROOT / "requirements/openapi-lint"
    lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    assert unlocked(lock) == []
    assert {name: lock["packages"][f"node_modules/{name}"]["version"] for name in wanted} == wanted


def test_a_package_of_npm_that_is_not_locked_is_found() -> None:
    """By a lock without its hash, or with an address to fetch it from."""
    good = {"version": "1.0.0", "integrity": "sha512-AAAA"}
    packages = {
        "": {},
        "a": good,
        "b": {"version": "1.0.0"},
        "c": good | {"resolved": "https://example.com/c.tgz"},
    }
    assert unlocked({"packages": packages}) == ["b", "c"]


def test_every_requirements_file_is_locked() -> None:
    """Each `.in` has its `.txt`, and `make lock` knows both."""
    names = {path.stem for path in ROOT.glob("requirements/*.in")}
    assert names == {path.stem for path in LOCKED}
    locked = re.search(
        r"^REQUIREMENTS := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert locked is not None
    assert names == set(locked[1].split())


def test_a_requirement_that_is_not_pinned_is_found() -> None:
    """Every way to name a package without pinning it is found."""
    for line in [
        "fastapi\n",
        "fastapi==1.0\n",
        "fastapi>=1.0 \\\n    --hash=sha256:" + "0" * 64,
        "fastapi==1.0 \\\n    --hash=md5:" + "0" * 32,
        "fastapi @ https://files.example.com/x.whl \\\n    --hash=sha256:" + "0" * 64,
        "--extra-index-url https://index.example.com\n",
        "-e .\n",
        "-r other.txt\n",
    ]:
        with case(line):
            good = (
                "mangum==0.22.0 ; python_version < '4' \\\n    --hash=sha256:" + "a" * 64 + "\n    # via x\n"
            )
            assert unpinned(good) == []
            assert len(unpinned(good + line)) == 1


def test_every_install_checks_hashes() -> None:
    """In the Makefile, in CI and in our own programs."""
    for path in (ROOT / "Makefile", *ROOT.glob(".ci/*")):
        assert careless_lines(path.read_text(encoding="utf-8")) == [], path.name
    installing = []
    for path in [
        *ROOT.glob("local/**/*.py"),
        *ROOT.glob("tools/**/*.py"),
        *ROOT.glob("bench/**/*.py"),
        *ROOT.glob("tests/**/*.py"),
    ]:
        assert careless_calls(tree_of(path)) == [], path.name
        installing += [path.name] * ("--require-hashes" in path.read_text(encoding="utf-8"))
    assert "artifacts.py" in installing


def test_a_careless_install_is_found() -> None:
    """The search finds an install without hashes, however it is written."""
    assert careless_lines("\t@pip install fastapi\n")
    assert careless_lines("\t@$(UV) pip install --quiet \\\n\t\t-r x.txt\n")
    assert careless_lines("\tnpx cowsay\n")
    assert careless_lines("\t@npm ci\n")
    assert careless_lines("\t@npm ci --ignore-scripts; npm install cowsay\n")
    assert not careless_lines("\t@npm ci --ignore-scripts --prefix .local\n")
    assert not careless_lines("\t@$(UV) pip install --quiet \\\n\t\t--require-hashes -r x.txt\n")
    assert careless_calls(ast.parse("run([uv, 'pip', 'install', 'x'])"))
    assert careless_calls(ast.parse("run([*(uv, 'pip', 'install'), *('-r', 'x')])"))
    assert not careless_calls(ast.parse("run([*(uv, 'pip', 'install'), *('--require-hashes', '-r', 'x')])"))


def test_the_licences_are_listed() -> None:
    """`docs/licences.md` has every package that is deployed, with what it says of itself."""
    assert licences.main(["--check"]) == 0


def test_every_licence_was_reviewed() -> None:
    """A package that comes with another licence is noticed."""
    said = {licences.licence(package) for package in licences.deployed()} - {None}
    assert len(licences.deployed()) > 15
    assert said <= KNOWN
