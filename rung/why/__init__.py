"""The chain behind a thing: from a release back to each row's source, reviewer and guideline, or to the rule.

A REF is a row (`r-000123`), a dataset (`v001`), a report (`E-001`) or an item of one (`E-001:41`), a plan (`P-001`), a
run (`R-001`), a release (`L-001`), an import of logs (`W-001`) or a request of it (`W-001:17`), a gate (`leakage`), a
rule id or a question id.
"""

import re

from rung.why.explain import GATES, THING, Explanation, chain, why_gate, why_rule
from workspace.errors import RungError
from workspace.folder import Project
from workspace.settings import load_settings


def answer(project: Project | None, ref: str) -> Explanation:
    """Return the explanation of `ref`: a chain, a gate, a rule or a question. Raises RungError if it is unknown."""
    ref = _plain_ref(project, ref)
    if ref not in GATES and not THING.fullmatch(ref):
        return why_rule(project, ref)
    if project is None:
        raise RungError(f"No Rung project here, so {ref} cannot be found.", "rung init")
    if ref in GATES:
        return why_gate(project, ref)
    if ref.startswith("W") or ":" in ref:
        from rung.why.inputs import why_import, why_item, why_logged

        why = why_import if ":" not in ref else why_item if ref.startswith("E") else why_logged
        return why(project, ref)
    links = chain(project, ref)
    lines = [line for link in links for line in link.lines()]
    return Explanation(lines, {"ref": ref, "chain": [link.as_json() for link in links]})


def _plain_ref(project: Project | None, ref: str) -> str:
    """`datasets/v001` is `v001`, `task=chat` is `task`, `pool.jsonl:3` is the row that came from there."""
    if THING.fullmatch(ref):
        return ref
    last = ref.rstrip("/").rpartition("/")[2]
    if re.fullmatch(r"([LREP]-|v)\d+(\.toml)?", last):
        return last.removesuffix(".toml")
    if re.fullmatch(r"\w+=.*", ref):
        return ref.partition("=")[0]
    if project is not None and re.fullmatch(r".+:\d+", ref):
        return _row_from(project, ref)
    return ref


def _row_from(project: Project, place: str) -> str:
    """Return the id of the row that was imported from `file:line`; the place itself where none was."""
    from curation.store import open_store, store_exists

    settings = load_settings(project.settings_file)
    if not store_exists(project, settings):
        return place
    with open_store(project, settings) as store:
        found = [r.id for r in store.rows(excluded=None) if r.source == place or r.source.endswith(f"/{place}")]
    return found[0] if found else place
