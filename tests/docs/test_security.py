"""docs/security.md makes promises in a table: each is attacked by a test, and no other promise stands there."""

import ast
import re
import subprocess
from pathlib import Path

from parsed import parsed

ROOT = Path(__file__).resolve().parents[2]


ATTACKS = (
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
    "security/test_trust.py::test_trust_shows_all_and_holds_until_something_changes",
    "security/test_trust.py::test_no_key_goes_to_a_host_that_a_project_names_and_the_trusted_one_gets_its_own",
    "security/test_trust.py::test_a_key_never_travels_in_clear_text",
    "security/test_keys.py::test_no_key_stands_in_anything_that_was_written_or_said",
    "evaluation/test_commands.py::test_rows_stay_here_where_the_privacy_answer_says_so",
    "chat/test_hosted.py::test_a_redirect_is_not_followed_with_the_rows",
    "training/release/test_installing.py::test_what_cannot_be_installed_leaves_nothing",
    "security/test_paths.py::test_a_name_that_looks_like_a_path_is_a_name",
    "security/test_trust.py::test_database_and_list_of_trust_are_their_owners_alone",
    "web/test_routes.py::test_foreign_host_or_origin",
    "web/test_routes.py::test_a_link_that_ended_was_revoked_or_never_was",
)
"""The tests that attack the promises."""
PAGE = (ROOT / "docs" / "security.md").read_text().split("## Trust")[0]
PROMISES = re.findall(r"^\| ([A-Z].*?\.) \|", PAGE, re.MULTILINE)
"""The promises of the page, in its order, which is that of the attacks."""


def test_every_promise_has_its_attack_and_none_is_skipped() -> None:
    """`make test` runs each in its own file."""
    assert len(PROMISES) > 20
    for promise, attack in zip(PROMISES, ATTACKS, strict=True):
        file, _, name = attack.partition("::")
        nodes = parsed(ROOT / "tests" / file).body
        (found,) = [ast.unparse(node) for node in nodes if name == getattr(node, "name", "")]
        marks = [text for text in map(ast.unparse, nodes) if text.startswith("pytestmark")]
        assert not re.search(r"skip|xfail|^(@|pytestmark.*)pytest\.mark\.slow", "\n".join([found, *marks]), re.M), (
            promise
        )


def test_the_tests_of_faults_are_there() -> None:
    """docs/faults.md names its tests: a list to read by, which promises nothing of its own."""
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "faults.md").read_text()))
    done = subprocess.run(["grep", "-rhoE", r"def test_\w+", str(ROOT / "tests")], capture_output=True, text=True)
    assert named and not named - {line.removeprefix("def ") for line in done.stdout.split("\n")}
