"""rung.toml and the environment: every fault is told with its place, every section can be set from outside."""

from pathlib import Path

import pytest

from workspace.errors import InputError
from workspace.settings import Settings, load_settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rung.toml"
    path.write_text("")
    return path


def test_a_broken_table_is_named_with_its_line_and_a_byte_order_mark_is_dropped(file: Path) -> None:
    file.write_text('[review]\npool = "all"\n[dataset\n')
    with pytest.raises(InputError) as error:
        load_settings(file, {})
    assert error.value.where == "rung.toml line 3"
    for text in ("x = " + "[" * 5000, "x = " + "1" * 5000, "a = ", '"\x00"', "x = 1\nx = 2"):
        file.write_text(text)
        with pytest.raises(InputError) as error:
            load_settings(file, {})
        assert error.value.where.startswith("rung.toml"), text
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        load_settings(file, {})
    file.write_text('\ufeff[review]\npool = "all"\n', encoding="utf-8")
    assert load_settings(file, {}).review.pool == "all"


@pytest.mark.parametrize("section", sorted(Settings.model_fields.keys() - {"arms", "remotes"}))  # whose keys are names
def test_every_section_is_read_from_the_environment(file: Path, section: str) -> None:
    name = f"RUNG_{section.upper()}__NO_SUCH_KEY"
    with pytest.raises(InputError, match=rf'"{section}\.no_such_key"') as error:
        load_settings(file, {name: "1"})
    assert error.value.where == name


def test_numbers_out_of_range_are_told(file: Path) -> None:
    """A lease of an age ended in an overflow at the first row that was given out."""
    file.write_text("[review]\nlease_seconds = 99999999999999999999999\n[dataset]\nseed = -99999999999\n")
    with pytest.raises(InputError) as error:
        load_settings(file, {})
    assert [problem.where for problem in error.value.problems] == ["rung.toml line 2", "rung.toml line 4"]
    assert "at most 2,147,483,647" in error.value.message
    for split in ("validation = 0.6\ntest = 0.6", "validation = 0.9"):  # which leaves no train rows
        file.write_text(f"[dataset]\n{split}\n")
        with pytest.raises(InputError, match=r'"dataset\.test".*validation = 0\.[69]'):
            load_settings(file, {})
