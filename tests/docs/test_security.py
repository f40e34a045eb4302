"""docs/security.md makes promises in a table; each is attacked here, and no promise stands there that is not."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from works import answer, stages  # noqa: F401

from workspace.trust import distrust, trust, untrusted

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Room:
    """Surroundings of an attack: a folder, projects at their stages, commands, a server that records."""

    path: Path
    stages: Callable[[str, str], Path]
    loopback: Any

    def project(self, stage: str, toml: str = "") -> Path:
        root = self.path / "project"
        shutil.copytree(self.stages(stage, self.loopback.say(answer).url + "/v1"), root)
        (root / "rung.toml").write_text((root / "rung.toml").read_text() + toml)
        self.loopback.requests.clear()
        return root


@pytest.fixture
def room(tmp_path: Path, stages: Any, loopback: Any, monkeypatch: pytest.MonkeyPatch) -> Room:  # noqa: F811
    monkeypatch.setenv("RUNG_STATE_DIR", str(tmp_path / "state"))
    return Room(tmp_path, stages, loopback)


def asks_again(room: Room) -> None:
    root = room.project("new", '[model]\nprovider = "openai"\nbase = "m"\nbase_url = "https://gpu.example/v1"\n')
    (root / "metrics").mkdir(exist_ok=True)
    (root / "metrics" / "mine.py").write_text("def score(o, e): return 1.0")
    trust(root)
    assert not untrusted(root)
    (root / "metrics" / "mine.py").write_text("def score(o, e): return 0.0")
    assert [claim.name for claim in untrusted(root)] == ["code metrics/mine.py"]
    trust(root)
    toml = (root / "rung.toml").read_text()
    for other in ("gpu.example:8443", "evil.example"):
        (root / "rung.toml").write_text(toml.replace("gpu.example", other))
        assert [claim.name for claim in untrusted(root)] == [f"host {other}"]
    distrust(root)
    assert len(untrusted(root)) == 2


def owner_only(room: Room) -> None:
    root = room.project("reviewed")
    (root / "metrics").mkdir(exist_ok=True)
    trust(root)
    files = [root / "rung.db", room.path / "state" / "trusted.json"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((room.path / "state").stat().st_mode) == 0o700


ATTACKS: tuple[Callable[[Room], None] | str, ...] = (
    "rung/test_harmless.py::test_no_command_lets_row_text_act_on_the_terminal",
    "evaluation/test_tuned.py::test_the_pages_hold_all_they_need_and_show_markup_as_text",
    "rung/test_harmless.py::test_a_spreadsheet_works_nothing_out_and_the_sheet_comes_back",
    "security/test_injection.py::test_a_draft_request_holds_row_text_as_it_stands",
    "chat/test_foreign.py::test_a_chat_template_that_does_not_end_is_refused",
    "evaluation/test_sandbox.py::test_no_file_is_read",
    "security/test_metrics.py::test_a_schema_that_leads_elsewhere_is_refused_and_nobody_is_asked",
    "security/test_model_folders.py::test_pickled_weights_are_not_read",
    "security/test_archives.py::test_an_odd_member_is_refused_before_a_byte_is_written",
    "training/release/test_release.py::test_a_changed_release_is_found_on_another_machine",
    "training/release/test_release.py::test_one_changed_file_releases_nothing",
    "security/test_trust.py::test_a_program_of_the_project_is_started_only_as_it_was_trusted",
    "security/test_trust.py::test_a_host_elsewhere_is_not_asked_before_trust",
    "security/test_trust.py::test_a_link_of_a_project_leads_to_no_file_of_the_account_before_trust",
    asks_again,
    "security/test_trust.py::test_no_key_goes_to_a_host_that_a_project_names_and_the_trusted_one_gets_its_own",
    "security/test_trust.py::test_a_key_never_travels_in_clear_text",
    "security/test_secrets.py::test_no_key_stands_in_anything_that_was_written_or_said",
    "evaluation/test_commands.py::test_rows_stay_here_where_the_privacy_answer_says_so",
    "chat/test_hosted.py::test_a_redirect_is_not_followed_with_the_rows",
    "training/release/test_installing.py::test_what_cannot_be_installed_leaves_nothing",
    "security/test_paths.py::test_a_name_that_looks_like_a_path_is_a_name",
    owner_only,
    "web/test_routes.py::test_foreign_host_or_origin",
    "web/test_routes.py::test_a_link_that_ended_was_revoked_or_never_was",
)
"""A function here, or the test that attacks the promise in its own room."""
PROMISES = [
    match[1]
    for match in re.finditer(
        r"^\| ([A-Z].*?\.) \|", (ROOT / "docs" / "security.md").read_text().split("## Trust")[0], re.MULTILINE
    )
]
"""The promises of the page, in its order, which is that of the attacks."""


def test_every_promise_has_its_attack() -> None:
    assert len(PROMISES) == len(ATTACKS) > 20


@pytest.mark.parametrize(
    ("promise", "attack"), zip(PROMISES, ATTACKS, strict=False), ids=[promise[:60] for promise in PROMISES]
)
def test_the_promise_holds(promise: str, attack: Callable[[Room], None] | str, request: pytest.FixtureRequest) -> None:
    assert promise
    if isinstance(attack, str):
        file, _, name = attack.partition("::")
        assert f"def {name}(" in (ROOT / "tests" / file).read_text()
    else:
        attack(request.getfixturevalue("room"))


def test_the_tests_of_faults_are_there() -> None:
    """docs/faults.md names its tests: a list to read by, which promises nothing of its own."""
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "faults.md").read_text()))
    done = subprocess.run(["grep", "-rhoE", r"def test_\w+", str(ROOT / "tests")], capture_output=True, text=True)
    assert named and not named - {line.removeprefix("def ") for line in done.stdout.split("\n")}
