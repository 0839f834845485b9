"""One virtual environment for each peer, made on request: peers need versions that exclude each other.

torch is 5 GB and the same for all: environments see the one of the project through a `.pth` file, which names a folder
with links to torch and what torch needs. Whatever a peer pins itself comes first on its path.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from benchmarks.loaders.places import ROOT, cache_folder
from benchmarks.loaders.plan import ENVIRONMENTS

logger = logging.getLogger(__name__)

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
STUBS = Path(__file__).resolve().parent / "stubs"

_NOT_SHARED = {"numpy", "setuptools"}  # peers pin their own


def python_of(environment: str) -> Path | None:
    """Return the interpreter of an environment, None if it was not made (or for other requirements)."""
    if environment == "project":
        return Path(sys.executable)
    folder = _folder(environment)
    if not (folder / "ready").exists() or (folder / "ready").read_text() != _key(environment):
        return None
    return folder / "bin" / "python"


def set_up(names: Iterable[str]) -> dict[str, str]:
    """Make what is missing.

    Returns:
        {environment: why it could not be made}, empty if all went well.
    """
    failures = {}
    for name in names:
        if name not in ENVIRONMENTS:
            failures[name] = f"no such environment; there are {', '.join(ENVIRONMENTS)}"
        elif python_of(name) is None:
            logger.info("set-up environment=%s", name)
            try:
                _make(name)
            except (subprocess.CalledProcessError, OSError) as error:
                said = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
                failures[name] = f"set-up failed: {_last_line(said)}"
    return failures


def _make(name: str) -> None:
    folder = _folder(name)
    if folder.exists():
        shutil.rmtree(folder)
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    _install(python, REQUIREMENTS / f"{name}.txt")
    site = folder / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    seen = [_torch_links()]
    if (STUBS / name).is_dir():
        seen.append(STUBS / name)
    (site / "shared_torch.pth").write_text("".join(f"{path}\n" for path in seen))
    (folder / "ready").write_text(_key(name))


def _install(python: Path, requirements: Path) -> None:
    """Install exactly the listed versions; lists are complete, so nothing is resolved here."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv:
        installer = [uv, "pip", "install", "--python", str(python)]
    else:
        installer = [sys.executable, "-m", "pip", "--python", str(python), "install"]
    command = [*installer, "--quiet", "--no-deps", "-r", str(requirements)]
    subprocess.run(command, check=True, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def _torch_links() -> Path:
    """Return a folder with links to the files of torch and of all that it requires."""
    place = cache_folder() / "torch"
    ready = place / "ready"
    version = metadata.version("torch")
    if ready.exists() and ready.read_text() == version:
        return place
    if place.exists():
        shutil.rmtree(place)
    place.mkdir(parents=True)
    for name in sorted(_required("torch", set())):
        distribution = metadata.distribution(name)
        tops = {Path(str(file)).parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}
        for top in tops:
            link = place / top
            if not link.exists():
                link.symlink_to(Path(str(distribution.locate_file(top))))
    ready.write_text(version)
    return place


def _required(name: str, seen: set[str]) -> set[str]:
    """Return the installed distributions that `name` needs, itself included."""
    key = name.lower().replace("_", "-")
    if key in seen or key in _NOT_SHARED:
        return seen
    try:
        requires = metadata.requires(key) or ()
    except metadata.PackageNotFoundError:
        return seen  # for another platform
    seen.add(key)
    for requirement in requires:
        if "extra ==" in requirement and not requirement.startswith("cuda-toolkit"):
            continue
        needed = "".join(c if c.isalnum() or c in "-_." else " " for c in requirement).split()[0]
        _required(needed, seen)
    return seen


def _key(name: str) -> str:
    return hashlib.sha256((REQUIREMENTS / f"{name}.txt").read_bytes()).hexdigest() + metadata.version("torch")


def _folder(name: str) -> Path:
    return cache_folder() / "environments" / name


def _last_line(text: str | None) -> str:
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
