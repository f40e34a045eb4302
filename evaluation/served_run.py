"""A run that is asked by a name on the server of the baseline: what that name is worth as evidence."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServedRun:
    """`name` is what the server at `host` is asked for, `arms` the model there that the arms were asked of."""

    name: str
    host: str
    arms: str

    @property
    def arms_of(self) -> str:
        """The arms' model as reports name it."""
        return f"{self.arms} ({self.host})"

    @property
    def place(self) -> str:
        """Return what was asked, and where."""
        return f"{self.name} at {self.host}"

    def model_of(self, run: str) -> str:
        """Return the tuned model as reports name it, and as its answers are kept: of this run and no other."""
        return f"{self.name} ({self.host}), said to be {run}"

    def notes(self, run: str, base: str) -> list[str]:
        """Return notes on what nobody checked; `base` is the base model of the run."""
        told = [
            f"{run} was asked as {self.name} at {self.host}; Rung did not check that this name refers to its weights."
        ]
        if base and base != self.arms:
            told.append(
                f"{run} was trained from {base}, the arms were asked of {self.arms}: whether that is one model was not "
                "checked."
            )
        return told
