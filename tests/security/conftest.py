"""A warm process, and projects made by the commands themselves."""

from works import stages, warm  # noqa: F401
