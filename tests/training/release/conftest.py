"""The small project with a finished run."""

import shutil
from collections.abc import Callable
from pathlib import Path

import in_shell
import pytest
from once import once
from released import judged, let

from chat.local.prompt import encode, render
from training.release.goldens import GOLDEN, GoldenPrompt, Goldens
from workspace.artefact import write_artefact
from workspace.folder import Project
from workspace.settings import Settings, load_settings


@pytest.fixture(scope="session")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`staged(name, before, change)`: a copy of a project, changed once a run."""

    def make(name: str, before: Path, change: Callable[[Project], object]) -> Path:
        made = once(tmp_path_factory, name, lambda to: change(Project(shutil.copytree(before, to / "clinic"))))
        return made / "clinic"

    return make


@pytest.fixture(scope="session")
def trained(built: Path, tiny: Path, staged: Callable[..., Path]) -> Path:
    def train(project: Project) -> None:
        project.settings_file.write_text(project.settings_file.read_text() + f'[model]\nbase = "{tiny}"\n')
        in_shell.rung("train", cwd=project.root, code=0)

    return staged("trained", built, train)


@pytest.fixture(scope="session")
def ruled(trained: Path, staged: Callable[..., Path]) -> Path:
    """The project whose run has the verdict ship, as E-002."""
    return staged("ruled", trained, lambda project: judged(project, right=30))


@pytest.fixture(scope="session")
def shipped(ruled: Path, staged: Callable[..., Path]) -> Path:
    """A release of the run as adapter and merged, with files for vLLM and TGI: nobody changes it."""
    return staged("shipped", ruled, lambda project: let(project, "adapter,vllm,tgi")) / "releases" / "L-001"


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Project:
    """A copy of the project, whose run has no verdict."""
    return Project(Path(shutil.copytree(trained, tmp_path / "clinic")))


@pytest.fixture
def shipping(ruled: Path, tmp_path: Path) -> Project:
    """A copy of the project whose run may be released."""
    return Project(Path(shutil.copytree(ruled, tmp_path / "clinic")))


@pytest.fixture
def settings(trained: Path) -> Settings:
    return load_settings(trained / "rung.toml")


ANSWERS = {"PDR bilat in T1DM": "E10 eye both", "neuropathy NOS in DM2": "E11 nerve none"}


@pytest.fixture
def golden_folder(tiny: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release's folder with two golden prompts, as far as a check of a server reads it."""

    def make(folder: Path) -> None:
        from transformers import AutoTokenizer

        (folder / "merged").mkdir()
        shutil.copyfile(tiny / "tokenizer.json", folder / "merged" / "tokenizer.json")
        tokenizer = AutoTokenizer.from_pretrained(str(tiny))
        items = []
        for question, answer in ANSWERS.items():
            turns = [{"role": "system", "content": "House line."}, {"role": "user", "content": question}]
            prompt = render(tokenizer, turns)
            asked, ids = encode(tokenizer, prompt), [*encode(tokenizer, answer), tokenizer.eos_token_id]
            items.append(GoldenPrompt(turns=turns, prompt=prompt, prompt_ids=asked, ids=ids, text=answer))
        forms = {"gguf q4_k_m": ["E10 eye right", "E11 nerve none"]}
        whole = Goldens(max_tokens=12, tokenizer="merged", starts=1, ends=[2], items=items, forms=forms)
        write_artefact(folder / GOLDEN, whole)

    return Path(shutil.copytree(once(tmp_path_factory, "goldens", make), tmp_path / "L-001"))
