"""What is fetched is what was asked for."""

from pathlib import Path

from local.toolchain import LAMBDA_PYTHON, install


def test_a_version_that_is_named_is_installed_whatever_the_project_itself_overrides(tmp_path: Path) -> None:
    outside_the_override = "pydantic==2.13.5"

    install(tmp_path / "packages", LAMBDA_PYTHON, outside_the_override)

    assert [path.name for path in (tmp_path / "packages").glob("*.dist-info")] == ["pydantic-2.13.5.dist-info"]
