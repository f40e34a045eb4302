"""Keys come from the environment or a keyring (a real one, in a file), and go to their host and nowhere else."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.errors import KeyringLocked
from warm import warm
from works import HOSTED, answer, refuse

from chat.keys import key_of, without_keys
from workspace.errors import RungError

KEY = "planted-in-the-keyring-77ac01"
KEYS = {name: f"planted-{name.lower()}-5f1d9c77" for name in ("RUNG_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY",
                                                              "HF_TOKEN")}  # fmt: skip
PASSWORD = "planted-password-0c2b"
SERVER = f"postgresql://rung:{PASSWORD}@127.0.0.1:1/rung"


def test_no_key_stands_in_anything_that_was_written_or_said(stages: Any, loopback: Any, tmp_path: Path) -> None:
    seen: list[str] = []

    def watched(handler: Any, request: Any) -> tuple[int, Any]:
        for path in Path("/proc").glob("[0-9]*/cmdline"):  # which anyone on this machine may read
            with contextlib.suppress(OSError):
                seen.append(path.read_bytes().decode(errors="replace"))
        return answer(handler, request)

    loopback.say(watched)
    root = Path(stages("reviewed", loopback.url + "/v1"))
    work = tmp_path / "home" / "project"
    work.parent.mkdir()
    shutil.copytree(root, work)
    env = {**HOSTED, **KEYS, "RUNG_MODEL__BASE_URL": loopback.url + "/v1", "HOME": str(tmp_path / "home"),
           "XDG_CACHE_HOME": str(tmp_path / "home"), "RUNG_STATE_DIR": str(tmp_path / "home" / "state")}  # fmt: skip
    said = []
    for words in (
        ("data", "generate", "--count", "2", "--yes"), ("data", "freeze"), ("baseline", "--arms", "base"), ("advise",),
        ("review", "invite", "dana"), ("review", "export", "-o", "../sheet.csv"), ("trust",), ("status", "--json"),
        ("doctor", "--json"), ("release", "--to", "prompt", "--by", "sam", "--reason", "best"),
        ("why", "r-000001"),
    ):  # fmt: skip
        done = warm(*words, at=work, **env)
        assert "Traceback" not in done.err, (words, done.err)
        said.append(done.out + done.err)
    loopback.script[:] = [refuse]
    done = warm("data", "generate", "--count", "9", "--yes", "--json", at=work, **env)
    assert done.code == 2
    said.append(done.out + done.err)
    for command in (("status", "--json"), ("review", "next", "--reviewer", "dana", "--json"), ("data", "freeze")):
        for url in (SERVER, SERVER.replace("postgresql", "mysql"), SERVER + "?sslmode=no[t"):
            done = warm(*command, at=work, **env, RUNG_STORE__URL=url)
            assert "Traceback" not in done.err, done
            said.append(done.out + done.err)
    sent = {request[2].get("authorization") for request in loopback.requests}
    assert sent == {f"Bearer {KEYS['RUNG_API_KEY']}"} and seen, "the key went to its own host, and so could be seen"
    written = [path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file()]
    for secret in (*KEYS.values(), PASSWORD):
        assert not [text for text in said if secret in text]
        assert not any(secret.encode() in data for data in written)
        assert not any(secret in text for text in seen)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which a real keyring holds a key; no key is in the environment."""
    ring = tmp_path_factory.mktemp("ring")
    env = {"PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring", "XDG_DATA_HOME": str(ring)}
    names = ("RUNG_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY")
    code = f"import keyring\nfor name in {names}: keyring.set_password('rung', name, {KEY!r})"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **env})
    return env


def test_a_key_of_the_keyring_goes_to_its_server_and_nowhere_else_and_the_environment_comes_first(
    kept: dict[str, str], stages: Any, loopback: Any, tmp_path: Path
) -> None:
    before, home = stages("reviewed", loopback.say(answer).url + "/v1"), tmp_path / "home"
    env = {**HOSTED, **kept, "RUNG_API_KEY": "", "RUNG_MODEL__BASE_URL": loopback.url + "/v1"}
    env |= {"HOME": str(home), "RUNG_STATE_DIR": str(home / "state")}
    for more, sent in (
        ({"RUNG_API_KEY": "of-the-environment"}, "of-the-environment"),
        ({"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}, "none"),
        ({}, KEY),
    ):
        loopback.requests.clear()
        work = Path(shutil.copytree(before, home / f"p{len(sent)}"))
        done = warm("data", "generate", "--count", "1", "--yes", at=work, **{**env, **more})
        assert done.code == 0, done.err
        assert {request[2]["authorization"] for request in loopback.requests} == {f"Bearer {sent}"}
    loopback.script[:] = [refuse]
    refused = warm("data", "generate", "--count", "9", "--yes", "--verbose", at=work, **env)
    assert refused.code == 2 and "[KEY]" in refused.out + refused.err
    assert KEY not in done.out + done.err + refused.out + refused.err
    assert not [path for path in home.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_a_hosted_provider_takes_its_key_from_the_keyring_and_says_where_it_looked(
    kept: dict[str, str], tmp_path: Path
) -> None:
    code = "from chat.claude import Claude; from chat.compatible import Compatible\n"
    code += "print(Claude('claude-x').client.api_key, Compatible('gpt-x').client.api_key)"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC", "OPENAI", "RUNG"))}
    env |= {**kept, "HOME": str(tmp_path)}
    command = [sys.executable, "-X", "fork", "-c", code]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [KEY, KEY]
    env["XDG_DATA_HOME"] = str(tmp_path / "empty")
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 1 and "ANTHROPIC_API_KEY" in done.stderr and KEY not in done.stderr


@pytest.mark.parametrize(("said", "told"), [("it is locked", "it is locked"), ("", "KeyringLocked")])
def test_a_keyring_that_cannot_be_read_is_no_empty_one(said: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(service: str, name: str) -> str:
        raise KeyringLocked(said)

    monkeypatch.setattr(keyring, "get_password", locked)
    monkeypatch.delenv("RUNG_API_KEY", raising=False)
    with pytest.raises(RungError) as refused:
        key_of("RUNG_API_KEY")
    assert refused.value.where == "RUNG_API_KEY" and told in refused.value.message


def test_a_key_is_hidden_and_a_short_word_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNG_API_KEY", "12345678")
    monkeypatch.setenv("OPENAI_API_KEY", "bad key")
    assert without_keys("bad key: 12345678").endswith("key: [KEY]")
