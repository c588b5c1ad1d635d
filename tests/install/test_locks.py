"""The locks: complete, so that nothing released later can change or break what gets installed.

Each package index here is a folder of stub wheels, and nothing asks the network.
"""

import ensurepip
import hashlib
import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import metadata
from itertools import product
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

EXTRAS = {"calendars", "excel", "fast", "fleet", "mcp", "notify", "parquet", "plot", "web"}
# For each lock, the extras that it includes. Tests within pytest run on asyncio's own loop, processes on uvloop's.
LOCKS = {
    "requirements.txt": set[str](),
    "requirements-extras.txt": EXTRAS,
    "requirements-dev.txt": {"dev", *EXTRAS},
}
LARGEST = "requirements-dev.txt"
"""It includes the others, and each is installed with the same options."""
FEW = "few.txt"
each_lock = pytest.mark.parametrize("lock", LOCKS)

TARGETS = {
    f"{python}-{system}-{machine}": {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": system,
        "platform_system": system.capitalize(),
        "platform_machine": machine,
    }
    for python, (system, machine) in product(
        ("3.11", "3.12", "3.13", "3.14"), (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
    )
}

HERE = {name: str(value) for name, value in default_environment().items()}


def pins(lock: str) -> list[Requirement]:
    """Return what a lock pins, with extras and markers."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    return [Requirement(line) for line in re.findall(r"^(\w.*?) *\\?$", text, flags=re.MULTILINE)]


def pinned_version(pin: Requirement) -> Version:
    (specifier,) = pin.specifier
    assert specifier.operator == "=="
    return Version(specifier.version)


def declared(extras: Iterable[str]) -> list[Requirement]:
    """Return what the project itself requires, with these extras, and what builds it."""
    lists = [
        PROJECT["project"]["dependencies"],
        *(PROJECT["project"]["optional-dependencies"][extra] for extra in extras),
        PROJECT["dependency-groups"]["build"],
        PROJECT["build-system"]["requires"],
    ]
    return [Requirement(text) for texts in lists for text in texts]


@cache
def distribution(name: str, version: str) -> metadata.Distribution:
    installed = metadata.distribution(name)
    assert installed.version == version, f"{name} {installed.version} is installed, not {version}: make test"
    return installed


def offered(pin: Requirement) -> tuple[list[str], list[str]]:
    """Return what a pinned distribution requires, on any Python and system (its markers say which), and its extras."""
    found = distribution(pin.name, str(pinned_version(pin))).metadata
    return found.get_all("Requires-Dist") or [], found.get_all("Provides-Extra") or []


@cache
def required(pin: Requirement) -> list[Requirement]:
    return [Requirement(text) for text in offered(pin)[0]]


def required_here(name: str) -> list[Requirement]:
    """Return what something in the largest lock requires on this Python and system."""
    (pin,) = (pin for pin in pins(LARGEST) if pin.name == name and applies(pin, HERE))
    return [requirement for requirement in required(pin) if applies(requirement, HERE)]


def applies(requirement: Requirement, target: Mapping[str, str], extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**target, "extra": extra})


def resolve(lock: str, target: Mapping[str, str]) -> tuple[set[str], list[str]]:
    """Return what of a lock is required on a target, directly or by others, and which requirements it does not meet."""
    pinned = {canonicalize_name(pin.name): pin for pin in pins(lock) if applies(pin, target)}
    queue = [(requirement, "pyproject.toml") for requirement in declared(LOCKS[lock]) if applies(requirement, target)]
    used: set[tuple[str, str]] = set()
    unmet: list[str] = []
    while queue:
        requirement, by = queue.pop()
        name = canonicalize_name(requirement.name)
        pin = pinned.get(name)
        if pin is None or pinned_version(pin) not in requirement.specifier:
            unmet.append(f"{by} requires {requirement}")
            continue
        for extra in {"", *requirement.extras} - {extra for other, extra in used if other == name}:
            used.add((name, extra))
            queue += [(further, pin.name) for further in required(pin) if applies(further, target, extra)]
    return {name for name, _ in used}, unmet


# What the locks say


@each_lock
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_lock_meets_every_requirement_of_everything_in_it(lock: str, target: dict[str, str]) -> None:
    _, unmet = resolve(lock, target)
    assert unmet == []


@each_lock
def test_a_lock_pins_nothing_that_is_not_required(lock: str) -> None:
    required_somewhere = set[str]().union(*(resolve(lock, target)[0] for target in TARGETS.values()))
    used_somewhere = {pin.name for pin in pins(lock) if any(applies(pin, target) for target in TARGETS.values())}
    assert used_somewhere == required_somewhere


def test_the_locks_agree() -> None:
    def versions(lock: str) -> dict[str, Version]:
        return {pin.name: pinned_version(pin) for pin in pins(lock)}

    run, extras, dev = map(versions, LOCKS)
    assert run.items() <= extras.items()
    assert extras.items() <= dev.items()


@each_lock
def test_a_lock_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert len(re.findall(r"^\w.*\\\n +--hash=sha256:", text, flags=re.MULTILINE)) == len(pins(lock))
    assert "://" not in text
    assert not re.search(r"^ *-(i|f|-\w*index|-find-links|-trusted)", text, flags=re.MULTILINE)


# How they are installed


def installs() -> Iterator[tuple[str, str]]:
    """Yield each command that installs a lock, and where it is written."""
    texts = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/*"), *ROOT.glob(".ci/*")]
    for path in [ROOT / "Makefile", ROOT / "Dockerfile", *(path for path in texts if path.is_file())]:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for options in re.findall(r"(?:(?<!uv )pip|\$\(PIP\))[^\n|;&]*? install (.*? -r [^\s&;`]+)", text):
            yield path.name, options


def test_every_command_that_installs_a_lock_resolves_and_builds_nothing_and_checks_hashes() -> None:
    found = list(installs())
    assert {"Makefile", "Dockerfile", "pipeline.service"} <= {name for name, _ in found}
    for name, options in found:
        assert {"--no-deps", "--only-binary", "--require-hashes"} <= set(options.split()), (
            f"{name}: pip install {options}"
        )


def test_the_image_gets_the_locks_it_is_built_from() -> None:
    default = re.search(r"^ARG LOCK=(\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert default
    admitted = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {f"!{default[1]}", "!requirements.txt"} <= set(admitted)


@pytest.fixture(scope="module")
def pips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The pip that comes with this Python, which is the oldest supported, and the one locked, which is the newest."""
    bundled = Path(
        sysconfig.get_config_var("WHEEL_PKG_DIR") or Path(sysconfig.get_path("stdlib"), "ensurepip/_bundled")
    )
    (wheel,) = bundled.glob("pip-*.whl")
    folder = tmp_path_factory.mktemp("pip")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return {"oldest": [sys.executable, str(folder / "pip")], "newest": [sys.executable, "-m", "pip"]}


def newer(version: Version) -> Version:
    *first, last = version.release
    return Version(".".join(map(str, [*first, last + 1])))


def wheel(folder: Path, name: str, version: Version, requires: Iterable[str], extras: Iterable[str]) -> str:
    """Make a wheel of metadata alone, and return its hash."""
    headers = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    headers += [f"Requires-Dist: {requirement}" for requirement in requires]
    headers += [f"Provides-Extra: {extra}" for extra in extras]
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{stem}.dist-info/METADATA", "\n".join(headers) + "\n")
        archive.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{stem}.dist-info/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index in which everything that is locked has a newer release, with the requirements that it has today.

    It holds the lock too, with these wheels' hashes, and what of it pytest-cov needs, which requires coverage[toml].
    """
    folder = tmp_path_factory.mktemp("index")
    hashes: dict[str, str] = {}
    for pin in sorted(pins(LARGEST), key=lambda pin: not applies(pin, HERE)):
        if pin.name not in hashes:
            hashes[pin.name] = publish(folder, pin)
    lines = [f"{pin} --hash=sha256:{hashes[pin.name]}" for pin in pins(LARGEST)]
    (folder / LARGEST).write_text("\n".join(lines), encoding="utf-8")
    needed = {"pytest-cov"}
    while more := {other.name for name in needed for other in required_here(name)} - needed:
        needed |= more
    few = [line for line, pin in zip(lines, pins(LARGEST), strict=True) if pin.name in needed]
    (folder / FEW).write_text("\n".join(few), encoding="utf-8")
    return folder


def publish(index: Path, pin: Requirement) -> str:
    """Put what is pinned and a newer release into an index, and return the hash of what is pinned."""
    folder = index / pin.name
    folder.mkdir()
    version = pinned_version(pin)
    requires, extras = offered(pin) if applies(pin, HERE) else ([], [])
    wheel(folder, pin.name, newer(version), requires, extras)
    digest = wheel(folder, pin.name, version, requires, extras)
    links = (f'<a href="{path.name}">{path.name}</a>' for path in folder.glob("*.whl"))
    (folder / "index.html").write_text(f"<!DOCTYPE html>{' '.join(links)}", encoding="utf-8")
    return digest


def install(pip: list[str], index: Path, lock: str, options: Iterable[str]) -> subprocess.CompletedProcess[str]:
    """Let pip say what it would install into an empty environment."""
    quiet = ["--isolated", "--no-cache-dir", "--disable-pip-version-check", "--quiet"]
    dry = ["--dry-run", "--ignore-installed", "--report", "-", "--index-url", index.as_uri()]
    command = [*pip, *quiet, "install", *options, "-r", lock, *dry]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=index, env=variables)


def makefile_options() -> list[str]:
    (options,) = {options.partition(" -r ")[0] for name, options in installs() if name == "Makefile"}
    return options.split()


@pytest.mark.process
@pytest.mark.parametrize(
    ("pip", "lock"), [("oldest", FEW), ("newest", LARGEST)]
)  # `make` itself lets the oldest do all
def test_newer_releases_change_nothing(pips: dict[str, list[str]], pip: str, lock: str, index: Path) -> None:
    done = install(pips[pip], index, lock, makefile_options())

    assert done.returncode == 0, done.stderr
    installed = {item["metadata"]["name"]: item["metadata"]["version"] for item in json.loads(done.stdout)["install"]}
    lines = (index / lock).read_text(encoding="utf-8").splitlines()
    here = [pin for pin in (Requirement(line.partition(" --hash")[0]) for line in lines) if applies(pin, HERE)]
    assert len(here) >= 6
    assert {canonicalize_name(name): version for name, version in installed.items()} == {
        canonicalize_name(pin.name): str(pinned_version(pin)) for pin in here
    }


@pytest.mark.process
@pytest.mark.skipif(
    Version(ensurepip.version()) >= Version("24"),
    reason="a newer pip takes a pin for the same package with an extra too",
)
def test_without_that_a_newer_release_breaks_a_lock_whose_extras_are_stripped(
    pips: dict[str, list[str]], index: Path
) -> None:
    stripped = re.sub(r"\[[^]]*\]==", "==", (index / FEW).read_text(encoding="utf-8"))
    (index / "stripped.txt").write_text(stripped, encoding="utf-8")

    done = install(pips["oldest"], index, "stripped.txt", ["--require-hashes"])

    assert done.returncode != 0
    assert "coverage[toml]" in done.stderr
