"""Libraries that take seconds to import, imported as they are used: each worker collects every file, and runs few."""

from typing import Any

import pytest


class Later:
    """A library by its name; a test that uses it is skipped where it is not installed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):  # pytest asks whatever it finds in a file whether it is a test
            raise AttributeError(attribute)
        return getattr(pytest.importorskip(self._name), attribute)


datasets: Any = Later("datasets")
dry_steps: Any = Later("training.trials.short_run")
openai: Any = Later("openai")
peft: Any = Later("peft")
reporting: Any = Later("training.run.reporting")
torch: Any = Later("torch")
transformers: Any = Later("transformers")
