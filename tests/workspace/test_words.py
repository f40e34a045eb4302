from workspace.counted import counted


def test_one_is_not_several() -> None:
    assert [counted(n, "row") for n in (0, 1, 2640)] == ["0 rows", "1 row", "2,640 rows"]
