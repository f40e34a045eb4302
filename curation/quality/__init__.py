"""Quality checks: one file each. `checks(options)` gives a fresh set, in the order in which they are shown."""

from __future__ import annotations

from curation.quality.balance import Balance
from curation.quality.base import Check, Evidence, Finding, Options, Subject, Survey
from curation.quality.constant import Constant
from curation.quality.diversity import Diversity
from curation.quality.empty import Empty
from curation.quality.encoding import Encoding
from curation.quality.form import Form
from curation.quality.label_noise import LabelNoise
from curation.quality.language import Language
from curation.quality.mask import find_personal, find_secrets, mask
from curation.quality.names import Names
from curation.quality.orders import Orders
from curation.quality.over_long import OverLong
from curation.quality.personal import Personal
from curation.quality.refusals import Refusals
from curation.quality.residue import Residue
from curation.quality.secrets import Secrets
from curation.quality.skew import Skew
from curation.quality.spelling import Spelling
from curation.quality.spread import Spread
from curation.quality.topics import Topics
from curation.quality.truncated import Truncated
from curation.quality.words import Words

__all__ = [
    "Check",
    "Evidence",
    "Finding",
    "Options",
    "Subject",
    "Survey",
    "checks",
    "find_personal",
    "find_secrets",
    "mask",
]


def checks(options: Options) -> list[Check]:
    """The checks that look at rows one by one or at a sample; duplicates and leaks are found by pairs, elsewhere."""
    found: list[Check] = [
        Empty(),
        Secrets(),
        Personal(),
        *([Names(options.names)] if options.names else []),
        OverLong(options),
        Truncated(),
        Residue(),
        Orders(),
        Refusals(),
        Encoding(),
        Form(),
        Spelling(),
        LabelNoise(),
        Language(),
        Constant(),
        Balance(),
        Topics(),
        Diversity(),
        Spread(),
        Skew(),
    ]
    return [*found, Words(options.words)] if options.words else found
