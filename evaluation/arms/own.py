"""`own:NAME`: a system of the user's own on the same items, such as the one in production, a RAG or an agent.

`[arms.NAME] url` in rung.toml is a service, `arms/NAME.py` with `answer(messages) -> str` a function.
"""

from collections.abc import Iterable, Sequence

from chat.errors import ChatError
from chat.own_system import OwnSystem, own_service
from chat.privacy import Guard
from chat.protocols import ChatModel, Turn
from evaluation.arms.arm_material import ArmMaterial, Variant
from evaluation.own_code import own_function
from workspace.errors import RungError, did_you_mean
from workspace.files import sha256_bytes, sha256_file
from workspace.folder import Project
from workspace.settings import Settings
from workspace.trust import ARMS, codes

OWN = "own:"


def variants(material: ArmMaterial) -> list[Variant]:
    """One: the item's messages as they are."""
    return [Variant({}, tuple)]


def open_own(project: Project, settings: Settings, arms: Iterable[str], guard: Guard) -> dict[str, ChatModel]:
    """Return the systems of `own:NAME` in `arms`. RungError for an unknown name, Refusal by privacy answer or trust."""
    return {arm: _open(project, settings, arm.removeprefix(OWN), guard) for arm in arms if arm.startswith(OWN)}


def systems(project: Project, settings: Settings) -> dict[str, str]:
    """Return each `own:NAME` of the project, with a hash of where it is: its address and model, or its code."""
    files = {f"{OWN}{path.stem}": sha256_file(path) for path in codes(project.root, ARMS)}
    named = {f"{OWN}{name}": sha256_bytes(f"{at.url} {at.model}".encode()) for name, at in settings.arms.items()}
    return files | named


def _open(project: Project, settings: Settings, name: str, guard: Guard) -> ChatModel:
    files = {path.stem: path for path in codes(project.root, ARMS)}
    if name in files and name in settings.arms:
        raise RungError(f"{ARMS}/{name}.py and [arms.{name}] are both there; rename one.", where="rung.toml")
    if name in settings.arms:
        return own_service(name, settings.arms[name], guard)
    if name not in files:
        known = [*settings.arms, *files]
        raise RungError(
            f'No system is called "{name}".{did_you_mean(name, known)}',
            f'[arms.{name}] url = "http://..." in rung.toml, or {ARMS}/{name}.py',
            where=f"{OWN}{name}",
        )
    path = files[name]
    _, answer = own_function(project.root, path, "answer(messages)")

    def one(turns: Sequence[Turn]) -> str:
        try:
            said = answer([dict(turn) for turn in turns])
        except (Exception, SystemExit) as error:
            raise ChatError(
                "request", f"{ARMS}/{path.name}: {type(error).__name__}: {error}.", where=path.name
            ) from error
        if not isinstance(said, str):
            raise ChatError("request", f"{ARMS}/{path.name}: gave {said!r:.80}, not a text.", where=path.name)
        return said

    return OwnSystem(f"{name} ({ARMS}/{path.name} {sha256_file(path)[:8]})", one, is_local=True)
