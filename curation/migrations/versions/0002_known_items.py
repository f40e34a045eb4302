"""Gold items (gold), and a place in the queue for the orders."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the table and the column; rows keep the order of import until the queue is opened."""
    op.add_column("rows", sa.Column("place", sa.Integer(), nullable=False, server_default="0"))
    op.drop_index(op.f("ix_rows_state_priority_id"), table_name="rows")
    op.create_index(op.f("ix_rows_state_priority_place_id"), "rows", ["state", "priority", "place", "id"])
    op.create_table(
        "gold",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("payload", sa.Text()),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.Column("until", sa.Integer()),
        sa.ForeignKeyConstraint(["row_id"], ["rows.id"], name=op.f("fk_gold_row_id_rows")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gold")),
    )
    op.create_index(op.f("ix_gold_row_id"), "gold", ["row_id"])
