"""What is known of a model as judge: how far people agree with it, what it says once corrected, and its biases."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from workspace.artefact import Artefact

Kind = Literal["rubric", "score", "pairs"]


class Judged(BaseModel):
    """One arm as the judge sees it (`pairs`: tuned against that arm, -1..1). `raw` is its mean; `corrected` with
    `low`..`high` only where it may be used.

    `sensitivity` and `specificity` are against people, each with its lower 95% bound; `why` is why it is ignored.
    `length_bias`: how much more the judge favours the longer half of the outputs than people do, on the items that
    people judged; None where that cannot be told.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    arm: str
    n: int
    labelled: int
    raw: float
    sensitivity: float | None
    sensitivity_low: float
    specificity: float | None
    specificity_low: float
    used: bool
    why: str = ""
    corrected: float | None = None
    low: float | None = None
    high: float | None = None
    length_bias: float | None = None


class JudgedRival(BaseModel):
    """Tuned minus one arm as the judge sees it: `raw`, and, where both are usable, corrected with its interval.

    `clusters` is how many groups people's labels come from, where items hang together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    arm: str
    raw: float
    corrected: float | None = None
    low: float | None = None
    high: float | None = None
    why: str = ""
    clusters: int | None = None


class JudgeReport(Artefact):
    """`evaluations/E-002/judge/judge.json`, and `judge` in verdict.json.

    `model` is the judge by its exact name, `rubric_sha256` of judge.md. `flipped` (pairs only) is the share of items
    on which it followed the place instead of the text, `longer` the share of decided ones that the longer output won.
    `decides` is set where the judge is the primary metric. `used` is False, with `why`, where the verdict ignores it.
    """

    run: str
    kind: Kind
    model: str
    rubric_sha256: str
    confidence: float
    decides: bool
    used: bool
    why: str = ""
    arms: list[Judged] = []
    rivals: list[JudgedRival] = []
    raters: list[str] = []
    alpha: float | None = None
    flipped: float | None = None
    longer: float | None = None
    notes: list[str] = []

    def against(self, arm: str) -> JudgedRival | None:
        """The finding against one arm."""
        return next((rival for rival in self.rivals if rival.arm == arm), None)
