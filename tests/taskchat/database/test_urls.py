"""The URL of a database, and the passwords in it."""

import traceback

import pytest

from taskchat.database import conceal_passwords, driver_url
from taskchat.settings import SettingsError


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_urls_of_neon_mean_psycopg2_and_keep_parameters(scheme: str) -> None:
    url = driver_url(f"{scheme}://ann:p%40ss@host-pooler.example/db?sslmode=require&channel_binding=require")

    assert url.drivername == "postgresql+psycopg2"
    assert url.password == "p@ss"
    assert dict(url.query) == {"sslmode": "require", "channel_binding": "require"}


def test_other_urls_stay_as_they_are() -> None:
    assert driver_url("sqlite:///file.sqlite3").drivername == "sqlite"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:pa@ss:hunter2@host/db",
        "postgresql://ann:pa/ss@hunter2@host/db",
        "postgresql://ann@host:hunter2/db",
        "hunter2",
        "://hunter2",
    ],
)
def test_an_error_about_a_url_shows_no_part_of_it(url: str) -> None:
    with pytest.raises(SettingsError) as error:
        driver_url(url)

    assert "hunter2" not in "".join(traceback.format_exception(error.value, chain=True))


@pytest.mark.parametrize("form", ["postgresql://ann:{}@host/db", "postgresql://ann@host/db?password={}"])
@pytest.mark.parametrize("spelling", ["p ss/1", "p%20ss%2F1", "p+ss%2F1"])
def test_a_password_is_concealed_in_every_spelling(form: str, spelling: str) -> None:
    url = driver_url(form.format("p%20ss%2F1"))

    assert conceal_passwords(f"refused {spelling} twice {spelling}", url) == "refused *** twice ***"


@pytest.mark.parametrize("url", ["postgresql://ann@host/db", "postgresql://ann:@host/db", "sqlite:///file"])
def test_without_a_password_nothing_is_concealed(url: str) -> None:
    assert conceal_passwords("ann is refused", driver_url(url)) == "ann is refused"
