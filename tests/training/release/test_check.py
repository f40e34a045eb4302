"""A running server beside the run: every likely cause is told apart, on a real server on loopback."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import in_shell
import pytest
from hosted_replies import completion
from in_process import rung
from tokenizers import Tokenizer

from advisor.answer_file import parse_answers
from advisor.decide import decide
from advisor.rulefiles import load_rulebook
from chat.endpoint import Endpoint
from training.release.goldens import GoldenPrompt, ServerCheck, check_server, read_goldens
from workspace.artefact import write_artefact


@dataclass
class Wrong:
    """A server that gives the golden answers but for what is put in: `text` of its answers, `begin` tokens
    in front, `extra` in its template's text, `temperature` as its default.
    """

    folder: Path
    url: str
    text: Callable[[str], str] = str
    begin: tuple[int, ...] = ()
    extra: str = ""
    temperature: float = 0.0
    tells: bool = True

    def check(self) -> ServerCheck:
        return check_server(Endpoint(f"{self.url}/v1"), read_goldens(self.folder), self.folder)

    def tokens(self, text: str) -> list[int]:
        own = Tokenizer.from_file(str(self.folder / "merged" / "tokenizer.json"))
        return list(own.encode(text, add_special_tokens=False).ids)

    def __call__(self, _handler: Any, request: tuple[str, str, dict[str, str], Any]) -> tuple[int, Any]:
        _, path, _, body = request
        if path == "/v1/models":
            return 200, {"data": [{"id": "served"}]}
        if path == "/v1/chat/completions":
            item = self._item(body)
            text = self.text(item.text)
            prompt = len(self.begin) + len(self.tokens(item.prompt + self.extra))
            made = completion(text, "length" if len(text) > len(item.text) else "stop")
            return 200, made | {"usage": {"prompt_tokens": prompt, "completion_tokens": 5}}
        if path == "/props" and self.tells:
            return 200, {"default_generation_settings": {"params": {"temperature": self.temperature}}}
        if path == "/apply-template" and self.tells:
            return 200, {"prompt": self._item(body).prompt + self.extra}
        if path == "/tokenize" and self.tells:
            return 200, {"tokens": self.tokens(body["content"])}
        return 404, {"error": "not here"}

    def _item(self, body: Any) -> GoldenPrompt:
        asked = body["messages"][-1]["content"]
        return next(item for item in read_goldens(self.folder).items if item.turns[-1]["content"] == asked)


@pytest.fixture
def server(golden_folder: Path, loopback: Any) -> Wrong:
    wrong = Wrong(golden_folder, loopback.url)
    loopback.say(wrong)
    return wrong


def test_equal_answers_pass(server: Wrong, loopback: Any) -> None:
    found = server.check()
    assert found.passed and found.equal == found.prompts == 2 and not found.differences and not found.warnings
    assert found.matches == "the run"
    asked = [body for _, path, _, body in loopback.requests if path == "/v1/chat/completions"]
    assert all(body["temperature"] == 0 and body["model"] == "served" for body in asked)
    server.temperature = 0.8
    found = server.check()
    assert found.passed and "0.8" in found.warnings[0], "a default that samples"
    server.text = lambda text: text.replace("eye both", "eye right")
    found = server.check()
    assert found.passed and found.equal == 1 and found.matches == "gguf q4_k_m", "as a released form did"


TURNS = itertools.count()
FAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "template": ("template", {"extra": "<think>"}),
    "template by its count": ("template", {"tells": False, "extra": "<think> more words"}),
    "begins twice": ("bos", {"begin": (1,)}),
    "never stops": ("eos", {"text": lambda text: text + "\nuser\nand so on"}),
    "stops early": ("stop", {"text": lambda text: text[:3]}),
    "draws": ("sampling", {"text": lambda _: f"no {next(TURNS)}"}),
    "other numbers": ("numbers", {"text": lambda text: text.replace("eye both", "eye left")}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_a_server_has_its_cause(server: Wrong, fault: str) -> None:
    cause, values = FAULTS[fault]
    vars(server).update(values)
    found = server.check()
    assert not found.passed and {d.cause for d in found.differences} == {cause}


def test_the_command_shows_where_they_part(server: Wrong, loopback: Any, golden_folder: Path) -> None:
    server.text = lambda text: text.replace("eye both", "eye left")
    done = rung("release", "check", loopback.url, "--against", "L-001", cwd=golden_folder.parent, code=1)
    assert "1 of 2" in done.stdout and "' both'" in done.stdout and "' left'" in done.stdout
    assert "verify L-001" in rung("release", "check", "L-001", cwd=golden_folder.parent, code=2).stderr


def test_the_privacy_answer_is_the_releasing_projects_wherever_the_command_runs(
    golden_folder: Path, loopback: Any, tmp_path: Path
) -> None:
    root = golden_folder.parent
    (root / "rung.toml").write_text('[project]\nname = "x"\n')
    (root / "answers.toml").write_text('privacy = "no_external_api"\n')
    other = tmp_path / "other"
    other.mkdir()
    (other / "rung.toml").write_text('[project]\nname = "other"\n')
    for place in (root, root.parent, other):
        done = rung("release", "check", "http://model.example.org/v1", "--against", golden_folder, cwd=place, code=1)
        assert "no_external_api" in done.stderr
    assert not loopback.requests


def test_a_release_without_its_project_goes_by_the_advice_that_it_carries(golden_folder: Path, tmp_path: Path) -> None:
    def sent() -> str:
        done = in_shell.rung("release", "check", "http://model.invalid/v1", "--against", "L-001", cwd=tmp_path)
        assert done.returncode != 0
        return done.stderr

    sent()
    for answer in ("no_external_api", "none"):
        made = decide(load_rulebook(), parse_answers(f'privacy = "{answer}"'), date(2026, 11, 25))
        write_artefact(golden_folder / "chain" / "decision.json", made)
        assert ("no_external_api" in sent()) == (answer == "no_external_api")
