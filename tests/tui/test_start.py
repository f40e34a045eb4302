"""Start, the frame, and a folder without a project."""

from __future__ import annotations

from conftest_tui import playing, press, sees, text_of


async def test_a_wrong_setting_is_shown_and_the_screens_open(project, program):
    text = (project / "rung.toml").read_text()
    (project / "rung.toml").write_text(text.replace("pool =", "pol ="))
    async with playing(program(project)) as (app, pilot):
        assert 'unknown key "review.pol"' in text_of(app)
        await press(pilot, "2")
        assert "Next step" in text_of(app)


async def test_a_folder_without_a_project_offers_three_ways(tmp_path, program):
    app = program(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "No Rung project")
        await press(pilot, "1")
        assert (tmp_path / "rung.toml").is_file()
        assert "4 to 6 answers" in text_of(app)
