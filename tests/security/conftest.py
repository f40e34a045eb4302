"""Projects made by the commands themselves."""

from works import stages  # noqa: F401
