"""Start, the frame, and a folder without a project."""

from __future__ import annotations

from conftest_tui import playing, press, sees, text_of


async def test_ten_stages_with_state_and_reason(project, program):
    async with playing(program(project)) as (app, _):
        shown = text_of(app)
        for name in ("Questions", "Advice", "Data", "Review", "Dataset", "Baselines", "Plan", "Train", "Verdict"):
            assert name in shown
        assert "The ladder: climb only as high as you need" in shown
        assert "Enter opens it" in shown


async def test_a_locked_stage_says_why_and_opens_its_own_screen(project, program):
    async with playing(program(project)) as (app, pilot):
        await press(pilot, "9")
        assert "Locked" in text_of(app)
        assert "press 8" in text_of(app)


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
