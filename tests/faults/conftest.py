"""Projects made by the commands themselves, and a PostgreSQL server."""

from databases import postgres  # noqa: F401
from works import stages  # noqa: F401
