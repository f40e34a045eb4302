"""Whatever is done to a queue, in whatever order and by two programs in turn: what is kept count of is what a count
finds, and the row that an index gives is the one that a look at every row gives."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select, text

from curation.example import Example, chat_row
from curation.review import Desk, Ruling, decide, decide_all, known_reviewer, next_item, open_desk, refresh_queue, undo
from curation.review.leases import give_up, renew
from curation.review.queue import draw_again
from curation.review.service import contest
from curation.store.reading import SKEW
from curation.store.tables import decisions, rows
from curation.store.waiting_rows import waiting
from workspace.errors import RungError
from workspace.folder import Project
from workspace.settings import Settings

OPEN = ("pending", "skipped", "unsure")
PEOPLE = st.sampled_from(["dana", "eli", "fay"])
VERDICTS = st.sampled_from(["approve", "edit", "reject", "skip", "unsure", "flag"])
PICK = st.integers(0, 30)
PICKS = st.lists(PICK, min_size=1, max_size=4)
POLICIES = st.fixed_dictionaries(
    {
        "pool": st.sampled_from(["sample", "all", "trust"]),
        "order": st.sampled_from(["import", "random", "gap"]),
        "overlap": st.sampled_from([0.0, 0.5]),
        "second_edit": st.booleans(),
        "accept_automatic": st.booleans(),
        "sample": st.just(3),
        "lease_seconds": st.just(60),
    }
)


class Killed(BaseException):
    """Ends a transaction in its middle, as the end of its program does."""


def ruling(verdict: str, salt: int) -> Ruling:
    return Ruling(verdict, text=f"other {salt % 2}" if verdict == "edit" else None)


class Queue(RuleBasedStateMachine):
    """Two programs on one file, three people, one clock."""

    def __init__(self, database: Callable[[], str] = str):
        super().__init__()
        self.url = database()

    @initialize(policy=POLICIES)
    def begin(self, policy: dict[str, Any]):
        self.folder = Path(tempfile.mkdtemp(prefix="rung-queue-"))
        (self.folder / "rung.toml").write_text("")
        self.now, self.made, self.changes = 1000.0, 0, 0
        self.policy = policy
        self.tokens: dict[tuple[str, str], str] = {}
        self.desks = [self.opened(), self.opened()]
        self.add("candidates", 4)
        self.add("pool", 5)

    def opened(self) -> Desk:
        given = Settings.model_validate({"review": self.policy, "store": {"url": self.url}})
        project = Project(self.folder)
        return Desk(open_desk(project, given).store, project, given, self.clock)

    def clock(self) -> float:
        return self.now

    @property
    def desk(self) -> Desk:
        """The two programs take turns."""
        self.now += 1
        return self.desks[int(self.now) % 2]

    def name(self, pick: int) -> str:
        return f"r-{pick % self.made + 1:06d}"

    def names(self, picks: Sequence[int]) -> list[str]:
        return sorted({self.name(pick) for pick in picks})

    # What is done

    @rule(role=st.sampled_from(["candidates", "pool", "test"]), count=st.integers(1, 3))
    def add(self, role: str, count: int):
        new = [Example(chat_row(f"Question w{self.made + n}?", "an answer")) for n in range(count)]
        self.desk.store.add(new, role=role)
        self.made += count

    @rule(policy=POLICIES)
    def change_policy(self, policy: dict[str, Any]):
        self.policy = policy
        self.close()
        self.desks = [self.opened(), self.opened()]

    @rule(who=PEOPLE, verdict=VERDICTS, salt=PICK, seconds=st.sampled_from([0, 0, 30, 90]))
    def review(self, who: str, verdict: str, salt: int, seconds: int):
        desk = self.desk
        item = self.next(desk, who)
        self.now += seconds
        if item is not None:
            with contextlib.suppress(RungError):  # the lease is over
                decide(desk, item.id, item.token, who, ruling(verdict, salt))

    @rule(who=PEOPLE, gives_up=st.booleans())
    def open_and_leave(self, who: str, gives_up: bool):
        desk = self.desk
        item = self.next(desk, who)
        if item is not None and gives_up:
            give_up(desk, known_reviewer(desk.store, who), int(item.id[2:]))
        elif item is not None:
            assert renew(desk, known_reviewer(desk.store, who), int(item.id[2:]), item.token)

    @rule(who=PEOPLE, verdict=VERDICTS)
    def is_killed_in_a_decision(self, who: str, verdict: str):
        desk = self.desk
        item = self.next(desk, who)
        if item is not None:
            with contextlib.suppress(Killed), patch("curation.review.service.drop_drafts", side_effect=Killed):
                decide(desk, item.id, item.token, who, ruling(verdict, 0))

    @rule(who=PEOPLE, pick=PICK)
    def take_back(self, who: str, pick: int):
        with contextlib.suppress(RungError):
            undo(self.desk, self.name(pick), who)

    @rule(who=PEOPLE, pick=PICK, verdict=VERDICTS)
    def contest_it(self, who: str, pick: int, verdict: str):
        """By the token of a lease that this person had on the row at some time, where they had one."""
        desk, name = self.desk, self.name(pick)
        with contextlib.suppress(RungError):
            token = self.tokens.get((who, name), "")
            contest(desk, known_reviewer(desk.store, who), name, token, ruling(verdict, pick))

    @rule(who=PEOPLE, picks=PICKS, verdict=VERDICTS)
    def take_in_a_sheet(self, who: str, picks: list[int], verdict: str):
        decide_all(self.desk, who, [(name, ruling(verdict, 0)) for name in self.names(picks)], kind="person")

    @rule(picks=PICKS, verdict=VERDICTS)
    def let_a_program_decide(self, picks: list[int], verdict: str):
        decide_all(self.desk, "judge", [(name, ruling(verdict, 1)) for name in self.names(picks)])

    @rule(picks=PICKS, kind=st.sampled_from(["exclude", "queue", "mark"]))
    def change(self, picks: list[int], kind: str):
        store = self.desk.store
        if kind == "mark":
            store.mark(self.names(picks), "train")
        else:
            (store.exclude if kind == "exclude" else store.queue)(self.names(picks), "odd", "x")
        self.changes += 1

    @rule(pick=PICK)
    def undo_a_change(self, pick: int):
        with contextlib.suppress(RungError):
            self.desk.store.undo(pick % (self.changes + 1))

    @rule(role=st.sampled_from(["pool", "test"]))
    def sample_more(self, role: str):
        desk = self.desk
        draw_again(desk.store, desk.settings, role, actor="lead")

    # What must hold

    @invariant()
    def the_count_is_right(self):
        for desk in self.desks:
            with desk.store.read() as connection:
                queued = "FROM rows WHERE queued <> '' AND change_id IS NULL"
                states = connection.execute(text(f"SELECT state {queued}")).scalars().all()
                assert waiting(connection) == (len(states), sum(state in OPEN for state in states))

    def next(self, desk: Desk, who: str):
        """The item that comes next, which must be the one that a look at every row finds."""
        person = known_reviewer(desk.store, who)
        refresh_queue(desk.store, desk.settings)
        self.the_count_is_right()
        with desk.store.read() as connection:
            found = connection.execute(select(rows)).mappings().all()
            log = connection.execute(select(decisions)).mappings().all()
        wanted = self.expected(found, log, person.id)
        item = next_item(desk, who).item
        if item is not None:
            self.tokens[who, item.id] = item.token
        given = int(item.id[2:]) if item is not None else None
        assert given == wanted, (given, wanted)
        return item

    def expected(self, found: Sequence[Mapping[Any, Any]], log: Sequence[Mapping[Any, Any]], me: int) -> int | None:
        """By the words of the guide, without an index: held, then the first free one, then what was skipped."""

        def held(row: Mapping[Any, Any]) -> bool:
            until = row["lease_until"]
            return until is not None and until > self.now and row["lease_at"] <= self.now + SKEW

        gone = {each["supersedes"] for each in log}
        done = {
            each["row_id"]
            for each in log
            for row in found
            if row["id"] == each["row_id"] and each["reviewer_id"] == me and each["id"] not in gone
            if each["id"] > row["since"] and each["verdict"] not in ("skip", "undo")
        }
        open_ = [row for row in found if row["state"] in OPEN and row["queued"] and row["change_id"] is None]
        mine = [row for row in open_ if row["lease_owner"] == me and held(row)]
        if mine:
            return int(min(mine, key=lambda row: row["lease_at"])["id"])
        free = [row for row in open_ if not held(row) and row["id"] not in done]
        first = [(row["priority"], row["place"], row["id"]) for row in free if row["state"] != "skipped"]
        if first:
            return int(min(first)[-1])
        skipped = [row for row in free if row["state"] == "skipped"]
        patience = self.now - self.policy["lease_seconds"]
        for some in (
            [row for row in skipped if row["skipped_by"] == me],
            [row for row in skipped if row["skipped_at"] is None or row["skipped_at"] <= patience],
        ):
            if some:
                return int(min(some, key=lambda row: (row["skipped_at"] or 0.0, row["id"]))["id"])
        return None

    def close(self):
        for desk in self.desks:
            desk.store.close()

    def teardown(self):
        if hasattr(self, "desks"):
            self.close()
            shutil.rmtree(self.folder)


FEW = settings(
    max_examples=6, stateful_step_count=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
TestQueue = Queue.TestCase
TestQueue.settings = FEW


@pytest.mark.slow
def test_the_queue_on_postgresql(postgres: Callable[[], str]):
    """Each try has a database of its own."""
    run_state_machine_as_test(lambda: Queue(postgres), settings=settings(FEW, max_examples=12))
