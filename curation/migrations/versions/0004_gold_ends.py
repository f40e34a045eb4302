"""Gold items end: what is decided on their rows from now on counts, what was answered to them never does."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """End those that run, with the newest decision."""
    op.execute("UPDATE gold SET until = (SELECT COALESCE(MAX(id), 0) FROM decisions) WHERE until IS NULL")
