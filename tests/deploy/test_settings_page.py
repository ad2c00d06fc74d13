"""deploy/docs/settings.md: every setting there is, with who reads it."""

from deploy import settings_page
from deploy.settings_readers import readers

NAMES = frozenset(settings.__name__ for settings in settings_page.classes())


def test_the_committed_page_is_not_stale() -> None:
    assert settings_page.PAGE.read_text() == settings_page.page()  # `make docs` writes it


def test_every_setting_says_what_it_means_and_every_class_has_a_reader() -> None:
    fields = {
        f"{settings.__name__}.{name}": field.description
        for settings in settings_page.classes()
        for name, field in settings.model_fields.items()
    }

    assert len(fields) > 80
    assert [name for name, description in fields.items() if not description] == []
    assert readers(NAMES).keys() == NAMES


def test_a_secret_is_read_by_the_processes_that_need_it_and_no_other() -> None:
    read_by = readers(NAMES)

    assert read_by["StripeSettings"] == ["`workers`", "`fleet verify`"]
    assert read_by["OpenSettings"] == ["`workers`"]
    assert read_by["ChainSettings"] == ["`minter`"]
    assert read_by["WebhookSettings"] == ["`intake-http`"]


def test_titles_name_classes_that_there_are() -> None:
    assert set(settings_page.TITLES) <= NAMES
