"""The page of the benchmarks: a part that is measured anew takes the place of the one before, and leaves the others alone."""

from pathlib import Path

from benchmarks.report import Section, write


def test_a_part_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    ticks = Section("Ticks into Postgres", "| a | b |\n", "speed", [("R", 1.0)], [])
    answers = Section("Answers", "| c |\n\n- more\n", "", [], [])
    write([ticks, answers], page)
    first = page.read_text()
    assert first.index("## Ticks into Postgres\n| a | b |\n") < first.index("## Answers\n| c |\n\n- more\n")
    assert first.count("*Measured on ") == 2
    write([ticks._replace(text="| x |\n")], page)
    assert page.read_text() == first.replace("| a | b |", "| x |")
    before = page.read_text()
    write([answers._replace(title="Stream")], page)
    assert page.read_text() == before + "\n" + before[before.index("## Answers") :].replace("Answers", "Stream")


def test_every_picture_has_a_name_of_its_own(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    write([Section("Ticks into Postgres", "", "speed", [("R", 1.0)], []), Section("Growth", "", "cost", [("R", 1.0)], [])], page)
    pictures = {picture.name for picture in tmp_path.glob("*.svg")}
    assert pictures == {"benchmarks-ticks.svg", "benchmarks-growth.svg"}
    assert all(f"]({name})" in page.read_text() for name in pictures)
