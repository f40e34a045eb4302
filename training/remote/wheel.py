"""This installation of Rung as a wheel: a machine that trains gets the same files, not only the same version."""

from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from workspace.shipped_rules import rules_folder

TOP = Path(__file__).resolve().parents[2]
PACKAGES = ("advisor", "chat", "curation", "evaluation", "rung", "training", "workspace")
SKILL = "rung/agents/SKILL.md"


def write_wheel(folder: Path) -> Path:
    """Write `rung-VERSION-py3-none-any.whl` into the folder, from a checkout or an installed package alike."""
    found = distribution("rung")
    about = f"rung-{found.version}.dist-info"
    files = {name: path.read_bytes() for name, path in _files()}
    for name in ("METADATA", "entry_points.txt"):
        files[f"{about}/{name}"] = (found.read_text(name) or "").encode()
    files[f"{about}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: rung\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    made = folder / f"rung-{found.version}-py3-none-any.whl"
    with ZipFile(made, "w", ZIP_DEFLATED) as wheel:
        for name, data in files.items():
            wheel.writestr(name, data)
        wheel.writestr(f"{about}/RECORD", "".join(f"{name},,\n" for name in (*files, f"{about}/RECORD")))
    return made


def _files() -> Iterator[tuple[str, Path]]:
    """Each file by its name in the wheel; a checkout has rules and the skill beside the packages."""
    for package in PACKAGES:
        yield from _below(package, TOP / package)
    if not (TOP / SKILL).is_file():
        yield from _below("advisor/rules", rules_folder())
        yield SKILL, TOP / "skills" / "rung" / "SKILL.md"


def _below(name: str, folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"{name}/{path.relative_to(folder).as_posix()}", path
