"""First schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SEALED = "decisions are append-only"


def upgrade() -> None:
    """Make all tables."""
    for part in (_log, _people, _sources, _rows, _reviews, _seal):
        part()


def downgrade() -> None:
    """Drop all tables."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION rung_sealed() CASCADE")
    for name in ("links", "drafts", "decisions", "rows", "plans", "sources", "guidelines", "reviewers"):
        op.drop_table(name)
    for name in ("events", "changes", "facts"):
        op.drop_table(name)


def _log() -> None:
    """Facts of the store, changes that can be taken back, events."""
    op.create_table(
        "facts",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_facts")),
    )
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("finding", sa.Text(), nullable=False),
        sa.Column("rows", sa.Text(), nullable=False),
        sa.Column("undone_at", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_changes")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_events_kind"), "events", ["kind"])


def _people() -> None:
    """Reviewers, and the versions of the guideline."""
    op.create_table(
        "reviewers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.String(64)),
        sa.Column("token_until", sa.Float()),
        sa.Column("at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviewers")),
        sa.UniqueConstraint("name", name=op.f("uq_reviewers_name")),
    )
    op.create_index(op.f("ix_reviewers_token_hash"), "reviewers", ["token_hash"])
    op.create_table(
        "guidelines",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_guidelines")),
        sa.UniqueConstraint("sha256", name=op.f("uq_guidelines_sha256")),
    )


def _sources() -> None:
    """Imported files, and sampling plans."""
    op.create_table(
        "sources",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("sha256", "role", "path", name=op.f("uq_sources_sha256_role_path")),
    )
    op.create_table(
        "plans",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("population", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("allowed", sa.Integer(), nullable=False),
        sa.Column("error", sa.Float(), nullable=False),
        sa.Column("replaces", sa.Integer()),
        sa.ForeignKeyConstraint(["replaces"], ["plans.id"], name=op.f("fk_plans_replaces_plans")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plans")),
    )


def _rows() -> None:
    """Rows, and pairs of rows that resemble each other."""
    op.create_table(
        "rows",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("original", sa.Text()),
        sa.Column("source_id", sa.Integer()),
        sa.Column("line", sa.Integer()),
        sa.Column("meta", sa.Text(), nullable=False),
        sa.Column("mark", sa.String(16), nullable=False),
        sa.Column("queued", sa.String(32), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("needed", sa.Integer(), nullable=False),
        sa.Column("flagged", sa.Integer(), nullable=False),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.Column("plan_id", sa.Integer()),
        sa.Column("sampled", sa.Integer(), nullable=False),
        sa.Column("change_id", sa.Integer()),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("decision_id", sa.Integer()),
        sa.Column("skipped_by", sa.Integer()),
        sa.Column("skipped_at", sa.Float()),
        sa.Column("lease_owner", sa.Integer()),
        sa.Column("lease_token", sa.String(64)),
        sa.Column("lease_at", sa.Float()),
        sa.Column("lease_until", sa.Float()),
        sa.ForeignKeyConstraint(["change_id"], ["changes.id"], name=op.f("fk_rows_change_id_changes")),
        sa.ForeignKeyConstraint(["lease_owner"], ["reviewers.id"], name=op.f("fk_rows_lease_owner_reviewers")),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name=op.f("fk_rows_plan_id_plans")),
        sa.ForeignKeyConstraint(["skipped_by"], ["reviewers.id"], name=op.f("fk_rows_skipped_by_reviewers")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_rows_source_id_sources")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rows")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_rows_lease_owner"), "rows", ["lease_owner"])
    op.create_index(op.f("ix_rows_role_content_hash"), "rows", ["role", "content_hash"])
    op.create_index(op.f("ix_rows_state_priority_id"), "rows", ["state", "priority", "id"])
    op.create_table(
        "links",
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("other_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("similarity", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["other_id"], ["rows.id"], name=op.f("fk_links_other_id_rows")),
        sa.ForeignKeyConstraint(["row_id"], ["rows.id"], name=op.f("fk_links_row_id_rows")),
        sa.PrimaryKeyConstraint("row_id", "other_id", "kind", name=op.f("pk_links")),
    )
    op.create_index(op.f("ix_links_other_id"), "links", ["other_id"])


def _reviews() -> None:
    """Decisions, which are only ever added to, and drafts."""
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("reviewer_id", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("payload", sa.Text()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("remark", sa.Text(), nullable=False),
        sa.Column("guideline", sa.Integer()),
        sa.Column("seconds", sa.Float()),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("supersedes", sa.Integer()),
        sa.ForeignKeyConstraint(["guideline"], ["guidelines.version"], name=op.f("fk_decisions_guideline_guidelines")),
        sa.ForeignKeyConstraint(["reviewer_id"], ["reviewers.id"], name=op.f("fk_decisions_reviewer_id_reviewers")),
        sa.ForeignKeyConstraint(["row_id"], ["rows.id"], name=op.f("fk_decisions_row_id_rows")),
        sa.ForeignKeyConstraint(["supersedes"], ["decisions.id"], name=op.f("fk_decisions_supersedes_decisions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_decisions_row_id_reviewer_id"), "decisions", ["row_id", "reviewer_id"])
    op.create_index(op.f("ix_decisions_supersedes"), "decisions", ["supersedes"])
    op.create_table(
        "drafts",
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("reviewer_id", sa.Integer(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["reviewer_id"], ["reviewers.id"], name=op.f("fk_drafts_reviewer_id_reviewers")),
        sa.ForeignKeyConstraint(["row_id"], ["rows.id"], name=op.f("fk_drafts_row_id_rows")),
        sa.PrimaryKeyConstraint("row_id", "reviewer_id", name=op.f("pk_drafts")),
    )


def _seal() -> None:
    """Let the database itself refuse to change or delete a decision."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION rung_sealed() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{SEALED}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER decisions_sealed BEFORE UPDATE OR DELETE ON decisions "
            "FOR EACH ROW EXECUTE FUNCTION rung_sealed()"
        )
        return
    for action in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER decisions_no_{action.lower()} BEFORE {action} ON decisions "
            f"BEGIN SELECT RAISE(ABORT, '{SEALED}'); END"
        )
