"""Shared by the makers of the forms: the run, its rows, and the model in full precision."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from chat.local.load import adapter_weights, find_model, fingerprint, writer_class
from chat.local.offline import quiet_transformers
from chat.open import open_local
from chat.protocols import ChatModel, Progress
from curation.example import Example
from curation.split.manifest import load_split
from evaluation.measurement_report import ItemOutcome
from training.run.base_model import load_tokenizer
from training.runs import RunRecord
from workspace.artefact import revised
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings

Told = Callable[[str], None]
QUANTISED = ("qlora", "qdora")
"""Methods whose adapter was trained on a 4-bit base."""


@dataclass(frozen=True)
class Making:
    """A release in the making; `work` is its folder, which nobody sees before it is whole.

    `allows` is who lets a form out that loses more than the limit, and why; `outcomes` what each form answered on the
    validation rows so far.
    """

    project: Project
    settings: Settings
    run: RunRecord
    work: Path
    told: Told = lambda _: None
    watch: Callable[[str], Progress | None] = lambda _: None
    judge: ChatModel | None = None
    allows: tuple[str, str] | None = None
    outcomes: dict[str, list[ItemOutcome]] = field(default_factory=dict)

    @property
    def adapter(self) -> Path:
        """The run's saved weights."""
        return self.project.runs / self.run.id / "adapter"

    @cached_property
    def rows(self) -> list[Example]:
        """Validation rows: the golden prompts, and what changed forms are scored on."""
        return load_split(self.project.datasets / self.run.dataset, "validation")

    def tokenizer(self) -> Any:
        """Return the run's tokenizer as the form merged holds it; an adapter's folder by itself is no model folder."""
        return load_tokenizer(str(self.work / "merged"))

    def tuned(self) -> ChatModel:
        """Return the run as its verdict measured it: the adapter on its base, in the precision of rung.toml."""
        full = self.run.method == "full"
        base = str(self.adapter) if full else self.run.base
        model = revised(self.settings.model, base=base, provider="local")
        return open_local(model, adapter=None if full else self.adapter, batch=self.settings.evaluation.batch)

    def load(self) -> tuple[Any, Any]:
        """Return the base in fp32 with the adapter on it (or the fully tuned model), and the tokenizer.

        Raises Refusal if the base is another model than the one that was trained on, or lacks tokens of the run's.
        """
        place, hub = find_model(self.run.base)
        if not hub and fingerprint(Path(place)) != self.run.base_fingerprint:
            raise Refusal(
                f"{self.run.base}: another model than {self.run.id} was trained on.", "rung release --to adapter"
            )
        transformers = quiet_transformers(hub=hub)
        own = (self.adapter / "tokenizer_config.json").is_file()  # an adapter made elsewhere may have none
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(self.adapter) if own else place, local_files_only=own or not hub, trust_remote_code=False
        )
        source = str(self.adapter) if self.run.method == "full" else place
        local = not hub or self.run.method == "full"
        safe = {"local_files_only": local, "trust_remote_code": False}
        kind = writer_class(transformers, source, **safe)
        model = kind.from_pretrained(source, **safe, dtype="float32", use_safetensors=True)
        _same_tokens(self.run.id, len(tokenizer), int(model.get_input_embeddings().weight.shape[0]))
        if self.run.method == "full":
            return model, tokenizer
        from peft import PeftModel

        adapter_weights(self.adapter)
        return PeftModel.from_pretrained(model, str(self.adapter), local_files_only=True), tokenizer


def _same_tokens(run: str, known: int, rows: int) -> None:
    """Refuse a tokenizer with tokens that the weights have no row for: they were added after the base was made."""
    if known > rows:
        raise Refusal(
            f"{run}'s tokenizer knows {known:,} tokens, its base has weights for {rows:,}: {known - rows:,} were added "
            "and have none, so no form can be made that answers as the run.",
            "rung train --again",
        )
