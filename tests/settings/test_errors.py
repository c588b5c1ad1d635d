"""The error for a configuration that cannot be used."""

from pipeline.settings.errors import SettingsError


def test_the_place_is_put_before_the_problem_and_the_remedy_kept() -> None:
    error = SettingsError("invalid URL", remedy="use https://example.com/").at("a.toml: source.base_url")

    assert str(error) == "a.toml: source.base_url: invalid URL; use https://example.com/"
    assert error.remedy == "use https://example.com/"
