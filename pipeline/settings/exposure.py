"""Exposure: who can reach the web server, and whether that was meant."""

from pipeline.settings.addresses import Listen
from pipeline.settings.environment import WEB_TOKEN
from pipeline.settings.errors import SettingsError


def check_exposure(listen: Listen, *, has_token: bool, allow_anonymous: bool, setting: str) -> None:
    """Raise SettingsError if everybody who reaches the address could read the record, and nobody said that they may."""
    if not (listen.is_loopback or has_token or allow_anonymous):
        raise SettingsError(
            f"{setting}: {listen} can be reached from other machines, and nothing protects it",
            remedy=f"set {WEB_TOKEN}; or web.allow_anonymous = true, if everybody there may read the record",
        )
