"""A row and its line of JSON."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from curation.example import Example

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3),
    max_leaves=8,
)


@given(row=st.dictionaries(st.text(), JSON_VALUES, max_size=4))
@example(row={"n": 10**40, "x": float("inf"), "lone": "\ud800"})
def test_a_row_comes_back_from_json_as_json_reads_it(row):
    text = Example(row).to_json()
    read = Example.from_json(text).row
    assert read == json.loads(text) == row
    assert list(read) == list(row) and json.dumps(read) == json.dumps(row)
