"""Tuning as a service: what Rung asks of a provider, and two that tune open models and give the adapter back.

Their own SDKs speak to them. Keys come from the environment or the keyring, and go to the provider alone.
Sources: https://docs.together.ai/docs/fine-tuning-quickstart, https://docs.fireworks.ai/fine-tuning/fine-tuning-models
(read 2026-11-28). Written against together 3.1 and fireworks-ai 1.2; no real account was used.
"""

import contextlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import SplitResult, urlsplit

from chat.keys import how_to_give, key_of, without_keys
from training.plan.recipe import Recipe
from workspace.counted import money
from workspace.errors import Refusal, RungError
from workspace.extras import require
from workspace.trust import is_this_machine
from workspace.untar import SPARE, unpack

JobState = Literal["waiting", "running", "finished", "failed", "cancelled"]
LOST: tuple[JobState, ...] = ("failed", "cancelled")
NANO = 1e9
BUSY, BROKEN = 429, 500
LONGEST = 400
"""Characters of a provider's error that are shown."""
LARGEST_UPLOAD = 150_000_000
"""Bytes that Fireworks takes in one request."""


class Unreachable(RungError):
    """The provider could not be reached, or said that it is busy: the same question may be asked again."""


@dataclass(frozen=True, slots=True)
class TuningOrder:
    """A job to start. `name` is the same for the same plan and rows, so that a job is never started twice.

    `base` is the provider's name of the model, `files` the provider's names of the rows by split.
    """

    name: str
    base: str
    files: Mapping[str, str]
    recipe: Recipe

    @property
    def epochs(self) -> int:
        """Return the whole epochs: providers accept no fractions."""
        return max(1, math.ceil(self.recipe.epochs))

    @property
    def evals(self) -> int:
        """Evaluations on the validation rows: one an epoch, none if there are no such rows."""
        return self.epochs if "validation" in self.files else 0


@dataclass(frozen=True, slots=True)
class JobSeen:
    """A job as its provider sees it: `said` is the provider's own word, `usd` what it costs so far as it says.

    `model` names the tuned model at the provider, once there is one.
    """

    state: JobState
    said: str
    usd: float | None = None
    model: str = ""


class Provider(Protocol):
    """Interface of a provider; each call raises Unreachable, and Refusal if the provider refuses."""

    host: str
    full: bool
    """True if it can train all weights, too."""

    def look(self) -> None:
        """Ask for nothing but an answer: the key is right."""

    def upload(self, name: str, file: Path, rows: int) -> str:
        """Send rows under a name; the same rows are sent once. Returns the provider's name of them."""

    def cost(self, order: TuningOrder) -> float | None:
        """US dollars that the job will cost, by the provider's own estimate; None if it gives none beforehand."""

    def start(self, order: TuningOrder) -> str:
        """Start the job, unless one of this name was started; returns the provider's name of it."""

    def poll(self, job: str) -> JobSeen:
        """Return the present state of the job."""

    def cancel(self, job: str) -> None:
        """End the job; what it trained is not kept."""

    def fetch(self, job: str, folder: Path) -> None:
        """Put the files of the adapter into the empty folder."""


class _Together:
    """Together AI: message weights, LoRA or all weights; the result comes as a packed archive."""

    STATES: Mapping[str, JobState] = {
        "completed": "finished",
        "error": "failed",
        "cancelled": "cancelled",
        **dict.fromkeys(("running", "compressing", "uploading", "cancel_requested"), "running"),
    }
    full = True

    def __init__(self, timeout: float) -> None:
        self.sdk = require("managed", "together")
        address = _address("TOGETHER_BASE_URL", "https://api.together.ai")
        self.host = address.hostname or ""
        self.client = self.sdk.Together(api_key=_key("TOGETHER_API_KEY"), base_url=address.geturl(), timeout=timeout)

    def look(self) -> None:
        with _asking(self.sdk, self.host):
            self.client.fine_tuning.list()

    def upload(self, name: str, file: Path, rows: int) -> str:
        """The provider tells files apart by their checksum."""
        with _asking(self.sdk, self.host):
            return str(self.client.files.upload(file, purpose="fine-tune", check=False).id)

    def cost(self, order: TuningOrder) -> float | None:
        with _asking(self.sdk, self.host):
            found = self.client.fine_tuning.estimate_price(
                training_file=order.files["train"],
                validation_file=order.files.get("validation", ""),
                model=order.base,
                n_epochs=order.epochs,
                n_evals=order.evals,
                training_type={"type": "Lora", **_lora(order.recipe)} if order.recipe.rank else {"type": "Full"},
            )
        if not found.estimation_available:
            return None
        usd = float(found.estimated_total_price)
        if found.allowed_to_proceed is False:
            raise Refusal(f"{self.host}: the job would cost {money(usd)}, more than the account's limit.")
        return usd

    def start(self, order: TuningOrder) -> str:
        """A job is known by the suffix of the model that it makes."""
        recipe = order.recipe
        with _asking(self.sdk, self.host):
            for job in self.client.fine_tuning.list().data:
                if order.name in (job.x_model_output_name or "") and self._state(job.status) not in LOST:
                    return str(job.id)
            started = self.client.fine_tuning.create(
                training_file=order.files["train"],
                validation_file=order.files.get("validation", ""),
                model=order.base,
                suffix=order.name,
                n_epochs=order.epochs,
                n_evals=order.evals,
                packing=recipe.packing,
                max_seq_length=recipe.max_length,
                batch_size=recipe.rows_a_step,
                learning_rate=recipe.learning_rate,
                warmup_ratio=recipe.warmup,
                weight_decay=recipe.weight_decay,
                max_grad_norm=recipe.grad_norm,
                random_seed=recipe.seed,
                train_on_inputs=False,
                lora=bool(recipe.rank),
                **(_lora(recipe) if recipe.rank else {}),
            )
        return str(started.id)

    def poll(self, job: str) -> JobSeen:
        with _asking(self.sdk, self.host):
            found = self.client.fine_tuning.retrieve(job)
            usd = found.total_price / NANO if found.total_price else None
            return JobSeen(self._state(found.status), _plain(found.status), usd, str(found.x_model_output_name or ""))

    def cancel(self, job: str) -> None:
        with _asking(self.sdk, self.host):
            self.client.fine_tuning.cancel(job)

    def fetch(self, job: str, folder: Path) -> None:
        """The archive is checked before a byte of it is written."""
        with tempfile.TemporaryDirectory(dir=folder.parent) as room, _asking(self.sdk, self.host):
            packed, opened = Path(room) / "packed", Path(room) / "opened"
            kind = self.client.fine_tuning.retrieve(job).training_type.type
            asked = {"ft_id": job, "checkpoint": "adapter" if kind == "Lora" else "model_output_path"}
            with self.client.fine_tuning.with_streaming_response.content(**asked) as answer:
                _save(answer.iter_bytes(), packed, self.host)
            opened.mkdir()
            try:
                unpack(packed, opened)
            except Exception as error:  # tar and each way of packing have their own
                raise Refusal(f"{self.host}: what it sent cannot be unpacked: {error}") from error
            for path in sorted(opened.rglob("*")):
                if path.is_file():
                    path.replace(folder / path.name)

    def _state(self, status: str) -> JobState:
        return self.STATES.get(str(status), "waiting")


class _Fireworks:
    """Fireworks AI: message weights, LoRA; the files of the result come one by one from addresses that it signs."""

    STATES: Mapping[str, JobState] = {
        "COMPLETED": "finished",
        "EARLY_STOPPED": "finished",
        **dict.fromkeys(("FAILED", "EXPIRED", "DELETING", "DELETING_CLEANING_UP"), "failed"),
        "CANCELLED": "cancelled",
        **dict.fromkeys(("RUNNING", "WRITING_RESULTS", "CANCELLING", "PAUSED"), "running"),
    }
    full = False

    def __init__(self, timeout: float) -> None:
        self.sdk = require("managed", "fireworks")
        address = _address("FIREWORKS_BASE_URL", "https://api.fireworks.ai")
        self.host = address.hostname or ""
        self.account = os.environ.get("FIREWORKS_ACCOUNT_ID", "")
        if not self.account:
            raise RungError("The account at Fireworks is not named.", "export FIREWORKS_ACCOUNT_ID=...")
        key = _key("FIREWORKS_API_KEY")
        stays = self.sdk.DefaultHttpxClient(follow_redirects=False)
        self.client = self.sdk.Fireworks(
            api_key=key, account_id=self.account, base_url=address.geturl(), http_client=stays, timeout=timeout
        )

    def look(self) -> None:
        with _asking(self.sdk, self.host):
            self.client.supervised_fine_tuning_jobs.list(page_size=1)

    def upload(self, name: str, file: Path, rows: int) -> str:
        """A dataset that is whole is left as it is."""
        if (size := file.stat().st_size) > LARGEST_UPLOAD:
            raise Refusal(f"{file.name} has {size:,} bytes; {self.host} takes {LARGEST_UPLOAD:,} in one request.")
        datasets = self.client.datasets
        with _asking(self.sdk, self.host):
            with contextlib.suppress(self.sdk.ConflictError):
                datasets.create(
                    dataset_id=name, dataset={"example_count": str(rows), "format": "CHAT", "user_uploaded": {}}
                )
            if datasets.get(name).state != "READY":
                datasets.upload(name, file=file)
        return f"accounts/{self.account}/datasets/{name}"

    def cost(self, order: TuningOrder) -> float | None:
        """Fireworks says what a job costs once it is there."""
        return None

    def start(self, order: TuningOrder) -> str:
        """The name of the job is its id."""
        recipe = order.recipe
        with _asking(self.sdk, self.host), contextlib.suppress(self.sdk.ConflictError):
            self.client.supervised_fine_tuning_jobs.create(
                supervised_fine_tuning_job_id=order.name,
                dataset=order.files["train"],
                **({"evaluation_dataset": order.files["validation"]} if order.evals else {}),
                base_model=order.base,
                output_model=f"accounts/{self.account}/models/{order.name}",
                epochs=order.epochs,
                learning_rate=recipe.learning_rate,
                learning_rate_warmup_steps=round(recipe.warmup * recipe.steps),
                lora_rank=recipe.rank,
                batch_size_samples=recipe.rows_a_step,
                max_context_length=recipe.max_length,
                optimizer_weight_decay=recipe.weight_decay,
            )
        return order.name

    def poll(self, job: str) -> JobSeen:
        with _asking(self.sdk, self.host):
            found = self.client.supervised_fine_tuning_jobs.get(job)
            state = (found.state or "").removeprefix("JOB_STATE_")
            said = ": ".join(filter(None, [state.lower(), found.status and found.status.message]))
            cost = found.estimated_cost
            usd = None if cost is None else int(cost.units or 0) + (cost.nanos or 0) / NANO
            return JobSeen(self.STATES.get(state, "waiting"), _plain(said), usd, str(found.output_model or ""))

    def cancel(self, job: str) -> None:
        with _asking(self.sdk, self.host):
            self.client.supervised_fine_tuning_jobs.cancel(job, body={})

    def fetch(self, job: str, folder: Path) -> None:
        """The key is not sent to the addresses of the files."""
        with _asking(self.sdk, self.host):
            model = self.client.supervised_fine_tuning_jobs.get(job).output_model or job
            found = self.client.models.get_download_endpoint(model.rpartition("/")[2])
        for name, address in sorted((found.filename_to_signed_urls or {}).items()):
            _download(address, folder / Path(name).name, self.host)


PROVIDERS: Mapping[str, Callable[[float], Provider]] = {"together": _Together, "fireworks": _Fireworks}
"""Providers by their names in rung.toml; made with the seconds that a call may take."""


@contextmanager
def _asking(sdk: Any, host: str) -> Iterator[None]:
    """Convert the SDK's errors to Rung's: one that may pass (after the SDK's own retries), or a refusal."""
    try:
        yield
    except sdk.APIStatusError as error:
        said = _plain(f"{host}: {error.status_code} {error.message}")
        if error.status_code == BUSY or error.status_code >= BROKEN:
            raise Unreachable(said, "Try again later") from error
        raise Refusal(said, where=host) from error
    except sdk.APIConnectionError as error:
        raise Unreachable(f"{host}: {error.message}", "Try again later") from error
    except json.JSONDecodeError as error:  # a proxy that answers 200 with a page
        raise Unreachable(f"{host}: the answer is not JSON: {error}", "Try again later") from error
    except (ValueError, TypeError, AttributeError) as error:  # outside the model's limits; an answer of another form
        raise Refusal(_plain(f"{host}: {error}"), where=host) from error


def _plain(said: object) -> str:
    """Return a provider's message, safe to show and keep: without keys, and no longer than LONGEST."""
    return without_keys(str(said))[:LONGEST]


def _download(address: str, target: Path, host: str) -> None:
    import httpx

    place = urlsplit(address)
    if place.scheme != "https" and not is_this_machine(place.hostname or ""):
        raise Refusal(f"{host} gives the files by plain http ({place.hostname}).")
    try:
        with httpx.stream("GET", address, timeout=60.0) as answer:
            if not answer.is_success:  # not the address: it is signed
                raise Unreachable(f"{place.hostname}: {target.name}: {answer.status_code}", "Try again later")
            _save(answer.iter_bytes(), target, host)
    except httpx.HTTPError as error:
        raise Unreachable(f"{place.hostname}: {target.name}: {error}", "Try again later") from error


def _save(blocks: Iterator[bytes], target: Path, host: str) -> None:
    """Write what comes. Raises Refusal, and leaves nothing, where that is more than the disk has room for."""
    left = shutil.disk_usage(target.parent).free - SPARE
    with target.open("wb") as file:
        for block in blocks:
            left -= len(block)
            if left < 0:
                target.unlink()
                raise Refusal(f"{host}: {target.name} is larger than the disk has room for.")
            file.write(block)


def _lora(recipe: Recipe) -> dict[str, float]:
    return {"lora_r": recipe.rank, "lora_alpha": recipe.alpha, "lora_dropout": recipe.dropout}


def _address(variable: str, usual: str) -> SplitResult:
    """Return the provider's address, or the environment's. Raises RungError for plain http to other machines."""
    address = urlsplit(os.environ.get(variable) or usual)
    if address.scheme != "https" and not is_this_machine(address.hostname or ""):
        raise RungError(f"{variable} would send a key in clear text to {address.hostname}.", "https://...")
    return address


def _key(name: str) -> str:
    key = key_of(name)
    if not key:
        raise RungError(f"No key: {name} is neither in the environment nor in the keyring.", how_to_give(name))
    return key
