"""Keys come from the environment and stay there: whatever a run of commands wrote or said is searched for them."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

from warm import warm
from works import HOSTED, answer, refuse

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
