"""pip and uv get this machine's network settings, and no other setting of the developer."""

import os
import tomllib
from pathlib import Path

import certifi
import pytest

from local.installers import pip_environment, unusable_certificates, uv_environment

INDEX = "https://index.example.com/simple"
PATH = {"PATH": os.environ["PATH"]}
PIP_LISTING = f"""\
:env:.trusted-host='other.example.com'
global.constraint='/no/such'
global.extra-index-url='\\n{INDEX}/a\\n{INDEX}/b'
global.index-url='{INDEX}'
global.user='true'
install.prefix='/no/such'
install.target='/no/such'
install.trusted-host='index.example.com'
list.format='columns'
"""
"""Output of `pip config list`, recorded with pip 24.2."""


def python_whose_pip_lists(folder: Path, listing: str) -> str:
    """Return an interpreter's path; the environment of the tests has no pip."""
    (folder / "listing").write_text(listing, encoding="utf-8")
    python = folder / "python"
    python.write_text(f"#!/bin/sh\ncat '{folder}/listing'\n", encoding="utf-8")
    python.chmod(0o755)
    return str(python)


def test_of_pips_variables_only_network_settings_stay() -> None:
    given = {
        **PATH,
        **dict.fromkeys(("PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_NO_DEPS", "PIP_DRY_RUN"), "1"),
        **dict.fromkeys(("PIP_PREFIX", "PIP_TARGET", "PIP_ROOT", "PIP_CONSTRAINT", "PIP_CONFIG_FILE"), "/no/such"),
        **{"PIP_INDEX_URL": INDEX, "PIP_PROXY": "http://proxy:3128", "PIP_CERT": "/certificates", "PIP_TIMEOUT": "60"},
    }

    kept = pip_environment(given)

    pips = {name: value for name, value in kept.items() if name.startswith("PIP_")}
    assert pips.keys() == {
        *("PIP_INDEX_URL", "PIP_PROXY", "PIP_CERT", "PIP_TIMEOUT"),
        *("PIP_CONFIG_FILE", "PIP_DISABLE_PIP_VERSION_CHECK", "PIP_NO_CACHE_DIR", "PIP_NO_INPUT"),
    }
    assert (pips["PIP_INDEX_URL"], pips["PIP_CONFIG_FILE"]) == (INDEX, os.devnull)
    assert kept["PATH"] == PATH["PATH"]


def test_of_a_pip_conf_only_network_settings_stay(tmp_path: Path) -> None:
    python = python_whose_pip_lists(tmp_path, PIP_LISTING)

    kept = pip_environment({**PATH, "PIP_TRUSTED_HOST": "other.example.com"}, python)

    assert kept["PIP_INDEX_URL"] == INDEX
    assert kept["PIP_EXTRA_INDEX_URL"] == f"{INDEX}/a {INDEX}/b"
    assert kept["PIP_TRUSTED_HOST"] == "other.example.com"
    assert not {"PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_FORMAT", "PIP_CONSTRAINT"} & kept.keys()


def test_a_broken_pip_conf_is_ignored(tmp_path: Path) -> None:
    python = python_whose_pip_lists(
        tmp_path, "Configuration file could not be loaded.\n'[glo\\n'\nglobal.index-url='\n"
    )

    kept = pip_environment({**PATH, "PIP_INDEX_URL": INDEX}, python)

    assert (kept["PIP_INDEX_URL"], kept["PIP_CONFIG_FILE"]) == (INDEX, os.devnull)


def test_of_uvs_variables_only_network_settings_stay(tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir()
    given = {
        **PATH,
        **dict.fromkeys(("UV_NO_DEV", "UV_NO_DEFAULT_GROUPS", "UV_OFFLINE", "UV_NO_SYNC", "UV_SYSTEM_PYTHON"), "1"),
        **dict.fromkeys(("UV_PROJECT_ENVIRONMENT", "UV_CACHE_DIR", "UV_CONSTRAINT", "VIRTUAL_ENV"), "/no/such"),
        **dict.fromkeys(("PYTHONPATH", "PYTHONHOME", "CONDA_PREFIX", "PIP_INDEX_URL"), "/no/such"),
        **{
            "UV_DEFAULT_INDEX": INDEX,
            "UV_INDEX_OURS_PASSWORD": "sesame",
            "UV_HTTP_TIMEOUT": "60",
            "UV_SYSTEM_CERTS": "0",
        },
    }

    kept = uv_environment(given, tmp_path)

    assert (
        not {
            *("UV_NO_DEV", "UV_NO_DEFAULT_GROUPS", "UV_OFFLINE", "UV_NO_SYNC", "UV_SYSTEM_PYTHON", "UV_CONSTRAINT"),
            *("UV_PROJECT_ENVIRONMENT", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "CONDA_PREFIX", "PIP_INDEX_URL"),
        }
        & kept.keys()
    )
    for name in ("PATH", "UV_DEFAULT_INDEX", "UV_INDEX_OURS_PASSWORD", "UV_HTTP_TIMEOUT", "UV_SYSTEM_CERTS"):
        assert kept[name] == given[name]


def test_uv_keeps_everything_below_the_project(tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir()

    kept = uv_environment({**PATH, "HOME": "/no/such"}, tmp_path)

    for name in ("UV_CACHE_DIR", "UV_CREDENTIALS_DIR", "UV_PYTHON_INSTALL_DIR", "UV_CONFIG_FILE"):
        assert Path(kept[name]).is_relative_to(tmp_path / ".local")


def test_of_a_uv_toml_only_network_settings_stay(tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir()
    user_file = tmp_path / "home" / ".config" / "uv" / "uv.toml"
    user_file.parent.mkdir(parents=True)
    user_file.write_text(
        'offline = true\nno-build = true\ncache-dir = "/no/such"\nallow-insecure-host = ["ä.example"]\n'
        f'[[index]]\nname = "ours"\nurl = "{INDEX}"\ndefault = true\n[pip]\nsystem = true\nindex-url = "{INDEX}"\n',
        encoding="utf-8",
    )
    (tmp_path / "uv.toml").write_text("system-certs = true\nno-cache = true\n", encoding="utf-8")

    kept = uv_environment({**PATH, "HOME": str(tmp_path / "home")}, tmp_path)

    assert tomllib.loads(Path(kept["UV_CONFIG_FILE"]).read_text(encoding="utf-8")) == {
        "allow-insecure-host": ["ä.example"],
        "index": [{"name": "ours", "url": INDEX, "default": True}],
        "index-url": INDEX,
        "system-certs": True,
    }


def test_a_broken_uv_toml_is_ignored(tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir()
    (tmp_path / "uv.toml").write_text("offline = \n", encoding="utf-8")

    kept = uv_environment({**PATH, "UV_CONFIG_FILE": str(tmp_path / "uv.toml")}, tmp_path)

    assert Path(kept["UV_CONFIG_FILE"]).read_text(encoding="utf-8") == ""


def test_stale_certificates_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    given = {
        "SSL_CERT_FILE": "/no/such/file",
        "SSL_CERT_DIR": f"{tmp_path}:/no/such/folder",
        "REQUESTS_CA_BUNDLE": str(tmp_path / "empty.pem"),
        "CURL_CA_BUNDLE": str(tmp_path),
        "PIP_CERT": "",
    }

    assert unusable_certificates(given) == {
        "SSL_CERT_FILE": "SSL_CERT_FILE names /no/such/file, which cannot be read (No such file or directory)",
        "SSL_CERT_DIR": "SSL_CERT_DIR names /no/such/folder, which cannot be read (No such file or directory)",
        "REQUESTS_CA_BUNDLE": f"REQUESTS_CA_BUNDLE names {tmp_path / 'empty.pem'}, which holds no certificates",
    }


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_certificates_that_load_are_no_fault(name: str) -> None:
    assert unusable_certificates({name: certifi.where()}) == {}
