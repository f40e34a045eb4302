"""A project from elsewhere, before and after `rung trust`: which hosts are asked, which keys they see, what runs."""

import contextlib
import json
import shutil
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hosted_replies import message
from later import openai
from warm import Done, warm
from works import HOSTED, answer

from chat.claude import Claude
from chat.compatible import Compatible
from chat.keys import key_for, only_for
from training.release.gguf import serving
from workspace.errors import Refusal, RungError
from workspace.settings import Settings, load_settings
from workspace.trust import claims, demand_store, trust, untrusted

KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY", "OPENAI_ORG_ID", "RUNG_API_KEY", "HF_TOKEN")
PLANTED = {name: f"planted-{name.lower()}" for name in KEYS}
PLANTED |= {f"{who}_CUSTOM_HEADERS": "x-team: planted-header" for who in ("ANTHROPIC", "OPENAI")}
SECTIONS = ("model", "judge", "bigger_model")
BASELINE = ("baseline", "--arms", "base", "--json")
BIGGER = ("baseline", "--arms", "base,bigger_model", "--json")


def both(handler: Any, request: Any) -> tuple[int, Any]:
    """A server that speaks both protocols."""
    return (200, message("YES")) if request[1].split("?")[0].endswith("/messages") else answer(handler, request)


@pytest.fixture
def cloned(stages: Any, loopback: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """`cloned(toml)`: a project with a frozen dataset and these tables in rung.toml, as it comes from a stranger."""
    monkeypatch.setenv("RUNG_STATE_DIR", str(tmp_path / "state"))

    def make(toml: str, name: str = "p") -> Path:
        root = Path(shutil.copytree(stages("frozen", loopback.say(both).url + "/v1"), tmp_path / name))
        settings = (root / "rung.toml").read_text()
        if "[judge]" in toml:
            settings = settings.replace("[evaluation]\n", '[evaluation]\nmetric = "judge"\n')
        (root / "rung.toml").write_text(settings + toml)
        (root / "judge.md").write_text("The line is right.\n")
        loopback.requests.clear()
        return root

    return make


def naming(section: str, provider: str, url: str, here: str) -> str:
    """Tables in which `section` names `url`, and the model, if it is not the one, a server on this machine."""
    table = f'[{section}]\nprovider = "{provider}"\nbase = "m-1"\nbase_url = "{url}"\n'
    return table if section == "model" else f'[model]\nprovider = "openai"\nbase = "m"\nbase_url = "{here}/v1"\n{table}'


def reached(done: Done) -> str:
    """The addresses that a command looked up or connected to."""
    return "\n".join(line for line in done.err.splitlines() if line.startswith("reached:"))


def error(done: Done) -> dict[str, str]:
    assert "Traceback" not in done.err, done.err
    found: dict[str, str] = json.loads(done.out)["error"]
    return found


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
@pytest.mark.parametrize("section", SECTIONS)
def test_no_key_goes_to_a_host_that_a_project_names_and_the_trusted_one_gets_its_own(
    section: str, provider: str, cloned: Any, loopback: Any
) -> None:
    url = loopback.url + ("/theirs/v1" if provider == "openai" else "/theirs")
    for trusted in (False, True):
        root = cloned(naming(section, provider, url, loopback.url), f"p{trusted}")
        if trusted:
            assert warm("trust", at=root, **PLANTED).code == 0
        warm(*(BIGGER if (root / "rung.toml").read_text().count("bigger_model") else BASELINE), at=root, **PLANTED)
        asked = [json.dumps(request[2]) for request in loopback.requests if request[1].startswith("/theirs")]
        assert asked, "the host was asked"
        assert all(("planted-rung_api_key" in headers) is trusted for headers in asked)
        assert not any("planted" in headers.replace("planted-rung_api_key", "") for headers in asked)


ELSEWHERE = {
    **{f"[{section}]": naming(section, "openai", "https://gpu.example/v1", "HERE") for section in SECTIONS},
    "Claude's protocol": naming("model", "anthropic", "https://gpu.example", "HERE"),
    "port and case": naming("model", "openai", "https://GPU.example:8443/v1", "HERE"),
    "a user's name": naming("model", "openai", "https://127.0.0.1@gpu.example/v1", "HERE"),
    "a vendor's own host": '[model]\nprovider = "openai"\nbase = "m"\n',
    "store": '[store]\nurl = "postgresql://u:p@db.example/rung"\n',
    "store, host in the query": '[store]\nurl = "postgresql:///rung?host=db.example"\n',
    "store, read in two ways": '[store]\nurl = "postgresql://localhost:x/@db.example/rung"\n',
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_host_elsewhere_is_not_asked_before_trust(name: str, cloned: Any, loopback: Any) -> None:
    root = cloned(ELSEWHERE[name].replace("HERE", loopback.url))
    words = BIGGER if "[bigger_model]" in ELSEWHERE[name] else BASELINE
    cut = partial(warm, at=root, offline=True, RUNG_MODEL__TRIES="1", **PLANTED)
    done = cut(*words)
    assert done.code == 1 and "rung trust" in error(done)["hint"], done
    assert not any("example" in each or "openai.com" in each for each in map(reached, (done, cut("status"))))
    assert cut("trust").code == 0 and "rung trust" not in error(cut(*words)).get("hint", "")


def test_what_the_person_names_needs_no_trust(cloned: Any) -> None:
    env = {**HOSTED, "RUNG_MODEL__BASE_URL": "https://gpu.example", "RUNG_MODEL__TRIES": "1"}
    done = warm("baseline", "--arms", "base", at=cloned(""), offline=True, **env)
    assert "gpu.example" in reached(done) and "rung trust" not in done.err


def test_a_key_never_travels_in_clear_text(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)

    def key(address: str) -> str:
        return key_for(urlsplit(address), may_have_key=True)[0]

    for address in ("http://api.openai.com/v1", "http://api.anthropic.com"):
        with pytest.raises(RungError) as refused:
            key(address)
        assert refused.value.where == "rung.toml"
    assert key("http://gpu.example:8000/v1") == key("http://10.0.0.1/v1") == "none"
    for address in ("https://gpu.example/v1", "http://127.0.0.1:8000/v1", "http://localhost/v1", "http://[::1]:1/v1"):
        assert key(address) == PLANTED["RUNG_API_KEY"]
    assert key("https://api.openai.com/v1") == PLANTED["OPENAI_API_KEY"]
    assert key("https://api.anthropic.com") == PLANTED["ANTHROPIC_API_KEY"]
    assert key("https://api.openai.com.evil.example") == key("https://API.evil.example") == PLANTED["RUNG_API_KEY"]
    with pytest.raises(RungError):
        Compatible("m", base_url="http://api.openai.com/v1")
    with pytest.raises(RungError):
        Claude("m", base_url="http://api.anthropic.com")


@pytest.mark.parametrize(
    ("host", "keep", "kept"),
    [("api.openai.com", False, True), ("gpu.example", True, True), ("gpu.example", False, False)],
)
def test_what_names_an_account_goes_to_the_vendor_or_where_the_person_said(host: str, keep: bool, kept: bool) -> None:
    address = f"https://{host}/v1"
    client = openai.OpenAI(
        api_key="k", base_url=address, organization="o", project="p", default_headers={"x-team": "t"}
    )
    only_for(client, urlsplit(address), keep_headers=keep)
    assert (client.organization, client.project) == (("o", "p") if kept else (None, None))
    assert ("x-team" in client.default_headers) is kept


def test_a_program_of_the_project_is_started_only_as_it_was_trusted(
    cloned: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, mark = cloned('[release]\nllama_cpp = "tools"\n'), tmp_path / "ran"
    (root / "tools").mkdir()
    server = root / "tools" / "llama-server"
    server.write_text(f"#!/bin/sh\nenv > {mark}\n")
    server.chmod(0o755)
    (root / "tools" / "libllama.so").write_bytes(b"")
    monkeypatch.chdir(root)
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    settings: Settings = load_settings(root / "rung.toml", {})

    def start() -> None:
        with serving(settings, root / "model.gguf", 64):
            pass

    with pytest.raises(Refusal) as refused:
        start()
    assert "rung trust" in refused.value.hint and not mark.exists()
    trust(root)
    with pytest.raises(Refusal):
        start()
    assert mark.exists() and not any(key in mark.read_text() for key in KEYS if key != "OPENAI_ORG_ID")
    mark.unlink()
    (root / "tools" / "libllama.so").write_bytes(b"another")
    with pytest.raises(Refusal) as refused:
        start()
    assert "rung trust" in refused.value.hint and not mark.exists()


def test_a_tracker_gets_figures_only_after_trust(cloned: Any) -> None:
    root = cloned('report_to = ["wandb"]\n')
    text = (root / "rung.toml").read_text()
    assert load_settings(root / "rung.toml", {}).training.report_to == ("wandb",)
    assert warm("advise", "--save", at=root).code == 0
    done = warm("plan", "--json", at=root, offline=True)
    assert done.code == 1 and "rung trust" in error(done)["hint"]
    (root / "rung.toml").write_text(text.replace('report_to = ["wandb"]\n', ""))
    (root / "plans").mkdir(exist_ok=True)
    (root / "plans" / "P-009.toml").write_text('[recipe]\nreport_to = ["comet_ml"]\n')
    assert [claim.name for claim in claims(root)] == ["tracker comet_ml"], "a plan that came along is looked at too"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("decision.json", ("advise", "--save", "--json")),
        ("prompts/prompt.md", BASELINE),
        ("prompts", BASELINE),
        ("evaluations/.partial", BASELINE),
        ("share.html", ("share", "--json")),
        ("rung.db", ("review", "next", "--reviewer", "mo", "--json")),
    ],
)
def test_a_link_of_a_project_leads_to_no_file_of_the_account_before_trust(
    name: str, words: tuple[str, ...], cloned: Any, loopback: Any, tmp_path: Path
) -> None:
    root, outside = cloned(naming("model", "openai", loopback.url + "/v1", "")), tmp_path / "mine"
    (root / name).parent.mkdir(exist_ok=True)
    if Path(name).suffix:
        outside.write_text("planted-text")
        (root / name).unlink(missing_ok=True)
    else:
        outside.mkdir()
        shutil.rmtree(root / name, ignore_errors=True)
    (root / name).symlink_to(outside)
    done = warm(*words, at=root)
    assert done.code == 1 and "rung trust" in error(done)["hint"] and error(done)["where"] == name
    assert "planted" not in done.out + str(loopback.requests)
    assert "--help" in warm(words[0], "--help", at=root).out
    for free in (("questions", "--json"), ("data", "dedup", "--help"), ("data", "convert", "none.jsonl", "-o", "x")):
        assert "rung trust" not in str(warm(*free, at=root)), free
    assert list(outside.iterdir()) == [] if outside.is_dir() else outside.read_text() == "planted-text"
    assert warm("trust", at=root).code == 0
    assert "rung trust" not in str(warm(*words, at=root))


@pytest.mark.parametrize(
    ("toml", "asked"),
    [
        ('[model]\nprovider = "openai"\nbase_url = ""\n', ["host api.openai.com"]),
        ('[model]\nbase_url = "gpu.example/v1"\n', ["host gpu.example/v1"]),
        ("[judge]\nbase_url = 5\n[arms.a]\nurl = 5\n[store]\nurl = 5\n[release]\nllama_cpp = 5\n", []),
        ('[arms.a]\nurl = ""\n[store]\nurl = ""\n[release]\nllama_cpp = ""\n[training]\nreport_to = ["", 5]\n', []),
        ("model = 5\n[judge]\nbase_url = []\n[arms.a]\nurl = []\n[store]\nurl = []\n[release]\nllama_cpp = []\n", []),
    ],
)
def test_what_names_nothing_asks_for_nothing(toml: str, asked: list[str], tmp_path: Path) -> None:
    """rung.toml may hold anything: an empty or unreadable value is no host and no program."""
    (tmp_path / "rung.toml").write_text(toml)
    assert [claim.name for claim in claims(tmp_path)] == asked


def test_a_store_is_refused_where_rung_toml_names_it_and_it_is_elsewhere(tmp_path: Path) -> None:
    for host, elsewhere in (("db.example", True), ("localhost", False)):
        (tmp_path / "rung.toml").write_text(f'[store]\nurl = "postgresql://{host}/rung"\n')
        with pytest.raises(Refusal) if elsewhere else contextlib.nullcontext():
            demand_store(tmp_path, f"postgresql://{host}/rung")
        demand_store(tmp_path, "postgresql://mine.example/rung")


def test_trust_shows_all_and_holds_until_something_changes(cloned: Any, tmp_path: Path) -> None:
    root = cloned(
        '[release]\nllama_cpp = "tools"\n' + naming("judge", "openai", "https://gpu.example/v1", "http://localhost:1")
    )
    for name in ("tools/llama-server", "metrics/one.py"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("def score(o, e): return 1.0")

    def new(at: Path) -> list[str]:
        """What `rung trust` shows as new, and trusts."""
        return [item["name"] for item in json.loads(warm("trust", "--json", at=at).out)["items"] if item["new"]]

    every = ["code metrics/one.py", "program tools", "host localhost:1", "host gpu.example"]
    assert new(root) == every and new(root) == []
    (root / "metrics" / "two.py").write_text("def score(o, e): return 0.0")
    doctor = json.loads(warm("doctor", "--json", at=root, XDG_CACHE_HOME=str(tmp_path)).out)
    (check,) = [check for check in doctor["checks"] if check["name"] == "trust"]
    assert check["ok"] is None and "metrics/two.py" in json.dumps(check) and "metrics/one.py" not in json.dumps(check)
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    for _ in range(2):
        assert set(new(copy)) == {*every, "code metrics/two.py"}, "another folder is another project"
        assert warm("trust", "--revoke", at=copy).code == 0
    assert new(root) == ["code metrics/two.py"]
    (root / "metrics" / "one.py").write_text("def score(o, e): return 0.0")
    assert [claim.name for claim in untrusted(root)] == new(root) == ["code metrics/one.py"]
    toml = (root / "rung.toml").read_text()
    for other in ("gpu.example:8443", "evil.example"):
        (root / "rung.toml").write_text(toml.replace("gpu.example", other))
        assert [claim.name for claim in untrusted(root)] == new(root) == [f"host {other}"]


def test_database_and_list_of_trust_are_their_owners_alone(cloned: Any, tmp_path: Path) -> None:
    root, state = cloned(""), tmp_path / "state"
    trust(root)
    assert {stat.S_IMODE(file.stat().st_mode) for file in (root / "rung.db", state / "trusted.json")} == {0o600}
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
