"""The page of the tables."""

from tests.docs.tables_page import PAGE, render


def test_the_page_of_the_tables_is_current() -> None:
    """A table, or what its model says of it, cannot change behind the documentation."""
    assert render() == PAGE.read_text("utf-8"), "run python -m tests.docs.tables_page"
