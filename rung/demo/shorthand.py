"""A clinic's shorthand for diabetes, made by a small seeded grammar from official ICD-10-CM titles.

The titles are official and public. The shorthand is a substitute for a clinic's, because no clinic publishes its
grammar. A parser written with this grammar would always be right (`read` below is one).
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

TYPES = {
    "E08": (
        "Diabetes mellitus due to underlying condition",
        ("secondary DM", "DM 2/2 underlying dz", "DM d/t other dz"),
    ),
    "E09": ("Drug or chemical induced diabetes mellitus", ("drug-induced DM", "chemical/drug DM", "med-induced DM")),
    "E10": ("Type 1 diabetes mellitus", ("T1DM", "type 1 DM", "DM1")),
    "E11": ("Type 2 diabetes mellitus", ("T2DM", "type 2 DM", "DM2")),
    "E13": ("Other specified diabetes mellitus", ("other DM", "other spec DM", "DM, other specified")),
}
"""Category -> its name in the titles, and the ways in which the shorthand writes it."""

SIDES = {
    "right": (", right eye", ("OD", "R eye")),
    "left": (", left eye", ("OS", "L eye")),
    "both": (", bilateral", ("OU", "bilat")),
    "unknown": (", unspecified eye", ("eye NOS",)),
}
"""Side -> the ending of the title, and its shorthand."""

SYSTEMS = {
    **dict.fromkeys("01", "acute"),
    "2": "kidney",
    "3": "eye",
    "4": "nerve",
    "5": "vascular",
    **dict.fromkeys("68", "other"),
    **dict.fromkeys("9A", "none"),
}
"""The fifth character of the code (with its point) -> the system that the house line names."""

FINDINGS = (
    (
        "hyperosmolarity without nonketotic hyperglycemic-hyperosmolar coma (nkhhc)",
        ("HHS w/o coma", "hyperosm, no coma"),
    ),
    ("hyperosmolarity with coma", ("HHS w/ coma", "hyperosm + coma")),
    ("ketoacidosis without coma", ("DKA w/o coma", "DKA, no coma")),
    ("ketoacidosis with coma", ("DKA w/ coma", "DKA + coma")),
    ("diabetic macular edema, resolved following treatment", ("DME resolved s/p tx", "resolved DME after tx")),
    ("traction retinal detachment not involving the macula", ("TRD macula off", "TRD, macula spared")),
    ("traction retinal detachment involving the macula", ("TRD macula on", "TRD, macula involved")),
    ("combined traction retinal detachment and rhegmatogenous retinal detachment", ("combined TRD/RRD", "TRD+RRD")),
    ("stable proliferative diabetic retinopathy", ("stable PDR", "PDR, stable")),
    ("nonproliferative diabetic retinopathy", ("NPDR",)),
    ("proliferative diabetic retinopathy", ("PDR",)),
    ("unspecified diabetic retinopathy", ("DR NOS", "retinopathy NOS")),
    ("without macular edema", ("w/o macular edema", "no DME")),
    ("with macular edema", ("w/ macular edema", "+DME")),
    ("other diabetic ophthalmic complication", ("other eye compl", "eye compl, other")),
    ("diabetic chronic kidney disease", ("CKD", "diabetic CKD")),
    ("other diabetic kidney complication", ("other renal compl", "renal compl, other")),
    ("renal tubular degeneration", ("renal tubular degen", "tubular degen")),
    ("intercapillary glomerulosclerosis", ("intercapillary GS", "intercap glomerulosclerosis")),
    ("intracapillary glomerulonephrosis", ("intracapillary GN", "intracap glomerulonephrosis")),
    ("kimmelstiel-wilson disease", ("Kimmelstiel-Wilson dz", "KW disease")),
    ("diabetic nephropathy", ("nephropathy", "diab nephropathy")),
    ("diabetic autonomic (poly)neuropathy", ("autonomic neuropathy", "autonomic PN")),
    ("diabetic mononeuropathy", ("mononeuropathy", "mono-neuropathy")),
    ("diabetic polyneuropathy", ("polyneuropathy", "poly-neuropathy")),
    ("diabetic neuropathy, unspecified", ("neuropathy NOS", "neuropathy, type ?")),
    ("other diabetic neurological complication", ("other neuro compl", "neuro compl, other")),
    ("diabetic neuropathic arthropathy", ("neuropathic arthropathy", "neuropathic joint dz")),
    ("diabetic gastroparesis", ("gastroparesis", "delayed gastric emptying")),
    ("diabetic neuralgia", ("neuralgia", "diab neuralgia")),
    ("diabetic amyotrophy", ("amyotrophy", "diab amyotrophy")),
    ("diabetic peripheral angiopathy without gangrene", ("PAD w/o gangrene", "PAD, no gangrene")),
    ("diabetic peripheral angiopathy with gangrene", ("PAD w/ gangrene", "PAD + gangrene")),
    ("diabetic gangrene", ("gangrene", "diab gangrene")),
    ("other circulatory complications", ("other circ compl", "circ compl, other")),
    ("diabetic necrobiosis lipoidica", ("necrobiosis lipoidica", "NLD")),
    ("other specified complication", ("other spec compl", "compl, other specified")),
    ("other skin complications", ("other skin compl", "skin compl, other")),
    ("other oral complications", ("other oral compl", "oral compl, other")),
    ("unspecified complications", ("compl NOS", "complications, type ?")),
    ("without complications in remission", ("no compl, in remission", "remission")),
    ("without complications", ("no compl", "uncomplicated", "w/o compl")),
    ("hypoglycemia without coma", ("hypo w/o coma", "low BG, no coma")),
    ("hypoglycemia with coma", ("hypo w/ coma", "low BG + coma")),
    ("hyperglycemia", ("hyperglyc", "high BG")),
    ("other skin ulcer", ("skin ulcer, other site", "other skin ulcer")),
    ("foot ulcer", ("foot ulcer", "ulcer of foot")),
    ("periodontal disease", ("periodontal dz", "perio dz")),
    ("other diabetic arthropathy", ("other arthropathy", "arthropathy, other")),
    ("diabetic dermatitis", ("dermatitis", "diab dermatitis")),
    ("diabetic cataract", ("cataract", "diab cataract")),
    ("charcôt's joints", ("Charcot joints", "Charcot arthropathy")),
    ("moderate", ("mod", "moderate")),
    ("severe", ("severe", "sev")),
    ("mild", ("mild",)),
    ("with", ("w/", "+")),
)
"""What a title says -> how the shorthand writes it; longer names come before those they contain."""

ORDERS = (
    "{finding} {side} in {type}",
    "{type} w/ {finding} {side}",
    "{type}: {finding} {side}",
    "{side} {finding} - {type}",
)


@dataclass(frozen=True, slots=True)
class Term:
    """One official title or inclusion term of one code."""

    code: str
    text: str

    @property
    def line(self) -> str:
        """Return the house line of the code: category, system, side."""
        return f"{self.code[:3]} {SYSTEMS[self.code[4]]} {self.side}"

    @property
    def side(self) -> str:
        """The side that the term ends with, or `none`."""
        return next((side for side, (ending, _) in SIDES.items() if self.text.endswith(ending)), "none")


def terms() -> list[Term]:
    """Titles and inclusion terms of the diabetes codes whose phrase names its type, in the order of the table."""
    from workspace.extras import require

    table = require("demo", "simple_icd_10_cm")
    found = []
    for category, (name, _) in TYPES.items():
        for code in table.get_descendants(category):
            if table.is_leaf(code):
                texts = [table.get_description(code), *table.get_inclusion_term(code)]
                found += [Term(code, text) for text in texts if name.lower() in text.lower()]
    return found


def write(term: Term, rng: random.Random) -> str:
    """One wording of a term in shorthand."""
    name, ways = TYPES[term.code[:3]]
    finding = _finding(term, name, rng)
    side = rng.choice(SIDES[term.side][1]) if term.side != "none" else ""
    text = rng.choice(ORDERS).format(finding=finding, side=side, type=rng.choice(ways))
    return re.sub(r" +", " ", text).replace(" :", ":").strip(" -")


def _finding(term: Term, name: str, rng: random.Random) -> str:
    """The term without its type and side, its words replaced by shorthand."""
    text = term.text.removesuffix(SIDES[term.side][0]) if term.side != "none" else term.text
    text = (
        re.sub(rf"(,? (in|with|due to)? ?)?{re.escape(name)}(,? with )?", "", text, flags=re.IGNORECASE)
        .strip(" ,")
        .lower()
    )
    for official, ways in FINDINGS:
        if official in text:
            text = re.sub(rf"(?<![\w\0]){re.escape(official)}(?!\w)", f"\0{rng.choice(ways)}\0", text)
    return re.sub(r"\s+", " ", text.replace("\0", " ")).strip()


class CodeTable:
    """Reads shorthand by the grammar's word list and the official table. It approves nothing that it cannot read."""

    name = "ICD-10-CM code table"

    def __init__(self) -> None:
        self._lines: dict[frozenset[str], set[str]] = {}
        for term in terms():
            for finding in _wordings(term):
                self._lines.setdefault(_key(term, finding), set()).add(term.line)
        self._types = _lookup({category: ways for category, (_, ways) in TYPES.items()})
        self._sides = _lookup({side: ways for side, (_, ways) in SIDES.items()})

    def read(self, phrase: str) -> str | None:
        """The house line of a phrase; None where it names no single type, two sides, or a finding of no single line."""
        rest, kinds = _take(_plain(phrase), self._types)
        rest, sides = _take(rest, self._sides)
        if len(kinds) != 1 or len(sides) > 1:
            return None
        words = frozenset(rest.split()) - FILLERS
        lines = self._lines.get(frozenset({kinds[0], *sides, *words}), set())
        return next(iter(lines)) if len(lines) == 1 else None

    def judge(self, phrase: str, line: str) -> tuple[str, str] | None:
        """(approve, "") or (reject, reason); None where the word list cannot read the phrase."""
        read = self.read(phrase)
        if read is None:
            return None
        return ("approve", "") if read == line.strip() else ("reject", "wrong answer")


FILLERS = frozenset({"w/", "in", "-", ":", "+", "with", "pt", "noted", "hx", "of"})


def _plain(text: str) -> str:
    """Lower case, punctuation that carries nothing taken off, words joined by one space."""
    return re.sub(r"\s+", " ", re.sub(r"[.,;:!()]", " ", text.lower()).replace("+", " + ")).strip()


def _lookup(ways: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    """(shorthand, meaning), the longest first."""
    return sorted(((_plain(way), key) for key, names in ways.items() for way in names), key=lambda p: -len(p[0]))


def _take(text: str, lookup: list[tuple[str, str]]) -> tuple[str, list[str]]:
    """Take every known phrase out of `text`; return what is left and what was found."""
    found = []
    for way, meaning in lookup:
        text, times = re.subn(rf"(?<![\w/-]){re.escape(way)}(?![\w/-])", " ", text)
        found += [meaning] * bool(times)
    return re.sub(r"\s+", " ", text).strip(), sorted(set(found))


def _wordings(term: Term) -> set[str]:
    """Every wording that the grammar can give a term's finding."""
    name = TYPES[term.code[:3]][0]
    return {_finding(term, name, random.Random(seed)) for seed in range(40)}


def _key(term: Term, finding: str) -> frozenset[str]:
    side = () if term.side == "none" else (term.side,)
    return frozenset({term.code[:3], *side, *(frozenset(_plain(finding).split()) - FILLERS)})
