"""Counts for the review: how many rows wait (the table `tally`), whose lease runs (indexes)."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add them; the rows are counted when the queue is next opened."""
    op.create_table(
        "tally",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tally")),
    )
    op.create_index(op.f("ix_changes_undone_at"), "changes", ["undone_at"])
    op.create_index(op.f("ix_decisions_reviewer_id"), "decisions", ["reviewer_id"])
    op.drop_index(op.f("ix_rows_lease_owner"), table_name="rows")
    op.create_index(op.f("ix_rows_lease_owner_lease_until"), "rows", ["lease_owner", "lease_until"])
