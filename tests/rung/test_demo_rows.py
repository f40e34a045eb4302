"""The demo's rows: real titles, no test code in the pool, planted faults that are what they claim to be."""

import json

import pytest

from rung.demo.house_line import CodeTable
from rung.demo.house_line import rows as rows_of


@pytest.fixture(scope="module")
def whole():
    """The rows of the whole demo: reading the official table takes seconds."""
    return rows_of(False)


@pytest.mark.parametrize("fast", [False, True])
def test_no_test_code_is_in_the_pool_but_the_planted_leaks(whole, fast):
    rows = rows_of(True) if fast else whole
    codes: dict[bool, set[str]] = {True: set(), False: set()}
    for line in rows.pool:
        if line not in rows.planted["malformed"] and "code" in (row := json.loads(line)):
            codes[row.get("note") == "copied"].add(row["code"])
    test = {row["code"] for row in rows.test}
    assert codes[True] <= test and not codes[False] & test
    assert codes[True] and codes[False]


def test_the_same_rows_every_time_in_the_sizes_of_the_recipe(whole):
    assert whole == rows_of(False) and len(whole.test) == 150
    planted = {"exact": 40, "near": 40, "leak": 10, "contradiction": 8, "malformed": 6}
    assert {kind: len(found) for kind, found in whole.planted.items()} == planted


def test_a_changed_meaning_is_rejected():
    judge = CodeTable()
    assert judge.judge("DM1 w/ PAD w/o gangrene", "E10 vascular none") == ("approve", "")
    assert judge.judge("DM1 w/ PAD w/o gangrene", "E11 vascular none") == ("reject", "wrong answer")
