"""Stages, as samconfig.toml describes them."""

from pathlib import Path

import pytest

from deploy.console import DeployError
from deploy.stage import read_stage
from local.gateway.template_yaml import load
from local.toolchain import ROOT


@pytest.mark.parametrize("name", ["dev", "staging", "prod", "pr-12"])
def test_every_stage_of_the_project_is_complete(name: str) -> None:
    stage = read_stage(name)
    declared = {
        parameter
        for path in ("template.yaml", "functions/migrate/template.yaml")
        for parameter in load((ROOT / path).read_text())["Parameters"]
    }

    assert stage.stack == f"taskchat-{name}"
    assert stage.parameters["Stage"] == name
    assert stage.parameters.keys() <= declared
    assert stage.tags == {"project": "taskchat", "stage": name}
    assert stage.secret("database-url") == f"taskchat/{name}/database-url"


def test_only_staging_and_prod_are_protected() -> None:
    assert [read_stage(name).is_protected for name in ("dev", "pr-1", "staging", "prod")] == [False, False, True, True]


def test_prod_shifts_its_traffic_and_the_others_do_not() -> None:
    shifting = [read_stage(name).parameters.get("ShiftsTraffic") for name in ("dev", "staging", "prod")]
    assert shifting == [None, None, "true"]


@pytest.mark.parametrize("name", ["", "production", "pr-", "pr-x", "../dev", "preview"])
def test_an_unknown_stage_is_refused(name: str) -> None:
    with pytest.raises(DeployError, match="there is no stage") as error:
        read_stage(name)
    assert "make deploy STAGE=dev" in error.value.what_next


def test_a_stage_that_is_not_complete_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "samconfig.toml"
    config.write_text('[default.global.parameters]\nstack_name = "x"\n[default.deploy.parameters]\n')
    with pytest.raises(DeployError, match="does not describe the stage dev"):
        read_stage("dev", config)
