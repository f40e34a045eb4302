"""A project's own metric: run only where the account trusts the folder, its failures said with the item."""

import json

import pytest
from bank import changed, ladder
from in_shell import rung
from scripted import Scripted

from evaluation.metrics.item_metrics import item_metric
from evaluation.outcomes import require_baseline
from workspace.errors import Refusal, RungError
from workspace.trust import state_file, trust, untrusted

STARTS = '''"""Same first letter."""
def score(output, expected):
    return output[:1] == expected[:1]
'''


def write(project, text, name="starts"):
    path = project.root / "metrics" / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_untrusted_code_does_not_run_and_trust_is_the_accounts_not_the_projects(project, tmp_path):
    mark = tmp_path / "ran"
    write(project, f"open({str(mark)!r}, 'w').close()\n{STARTS}")
    (project.root / "trusted.json").write_text(json.dumps([str(project.root)]))
    with pytest.raises(Refusal) as refused:
        item_metric("starts", project.root)
    assert refused.value.where == "metrics/starts.py" and "rung trust" in refused.value.hint and not mark.exists()
    told = json.loads(rung("trust", "--json", cwd=project.root).stdout)
    assert told["files"].keys() == {"metrics/starts.py"} and not untrusted(project.root)
    metric = item_metric("starts", project.root)
    assert mark.exists() and (metric.score("card", "cart"), metric.score("pin", "card")) == (1.0, 0.0)
    assert project.root not in state_file().parents
    write(project, STARTS.replace("==", "!="))
    with pytest.raises(Refusal):
        item_metric("starts", project.root)
    write(project, "def score(o, e): return 1.0", "other")
    trust(project.root)
    told = json.loads(rung("trust", "--revoke", "--json", cwd=project.root).stdout)
    assert told["trusted"] is False and untrusted(project.root)
    with pytest.raises(Refusal):
        item_metric("starts", project.root)
    for broken in ("{not json", json.dumps([str(project.root)]), json.dumps({str(project.root): ["starts"]})):
        state_file().write_text(broken)
        with pytest.raises(Refusal):
            item_metric("starts", project.root)


def test_a_baseline_is_scored_by_it_and_a_changed_metric_is_not_paired(project, settings):
    path = write(project, STARTS)
    trust(project.root)
    own = changed(settings, metric="starts", closed_set="off")
    _, report = ladder(project, own, Scripted(["cart"]), "base")
    assert (report.metric, report.arms[0].score) == ("starts", pytest.approx(1 / 3))
    assert "metrics/starts.py" in report.made_from
    assert require_baseline(project, own).report.id == report.id
    path.write_text(STARTS.replace("==", "!="))
    with pytest.raises(Refusal, match="E-001"):
        require_baseline(project, own)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def score(o, e):\n    return 1 / (len(o) - 4)\n", "ZeroDivisionError.*'cart'"),
        ("def score(o, e):\n    return 2\n", "gave 2"),
        ("def score(o, e):\n    return float('nan')\n", "gave nan"),
        ("def score(o, e):\n    return None\n", "gave None"),
        ("import nothing_of_this_name\n", "does not load .ModuleNotFoundError"),
        ("raise SystemExit(3)\n", "does not load .SystemExit"),
        ("value = 1\n", "no function score"),
    ],
)
def test_what_fails_is_said_and_no_answer_is_lost(project, settings, text, said):
    write(project, text)
    trust(project.root)
    model = Scripted(["cart"])

    def measure():
        return ladder(project, changed(settings, metric="starts", closed_set="off"), model, "base")

    with pytest.raises(RungError, match=said):
        measure()
    asked = len(model.asked)
    write(project, STARTS)
    trust(project.root)
    measure()
    assert len({str(ask) for ask in model.asked}) == len(model.asked) >= asked


def test_names_that_clash_and_links_that_lead_out_are_refused(project, tmp_path):
    trust(project.root)
    write(project, STARTS, "bleu")
    with pytest.raises(RungError, match="rename it"):
        item_metric("bleu", project.root)
    (tmp_path / "outside.py").write_text(STARTS)
    (project.root / "metrics" / "linked.py").symlink_to(tmp_path / "outside.py")
    with pytest.raises(RungError, match="unknown"):
        item_metric("linked", project.root)
    write(project, STARTS)
    with pytest.raises(RungError, match='"starts"'):
        item_metric("start", project.root)
