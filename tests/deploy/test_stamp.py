"""Every release has a name of its own, and a new name publishes a new version of every function."""

from collections.abc import Callable
from pathlib import Path

import pytest
from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform

from deploy.stamp import UNRELEASED, content_digest, release_of, stamped
from local.toolchain import ROOT

TEMPLATE = (ROOT / "template.yaml").read_text(encoding="utf-8")
PARAMETERS = {
    "JwtIssuer": "https://issuer.example.com/",
    "JwtAudience": "taskchat",
    "DatabaseUrlSecret": "database-url",
    "OpenAiApiKeySecret": "key",
}


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """Return a small build folder."""
    (tmp_path / "Layer").mkdir()
    (tmp_path / "Layer" / "module.py").write_text("X = 1\n")
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    return tmp_path


def versions(release: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the logical ids of the versions that CloudFormation is told to publish."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    template = yaml_parse(stamped(TEMPLATE, release))
    for name, resource in template["Resources"].items():
        # `sam deploy` puts the place in S3 here; the transform takes no folder.
        for key in ("CodeUri", "ContentUri"):
            if key in resource.get("Properties", {}):
                resource["Properties"][key] = f"s3://bucket/{name}"
    resources = transform(template, PARAMETERS, lambda: {})["Resources"]
    return {name for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::Version"}


def test_a_release_publishes_a_version_of_each_function(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = versions("a" * 16, monkeypatch), versions("b" * 16, monkeypatch)

    assert len(first) == len(second) == TEMPLATE.count("AutoPublishAlias:")
    assert not first & second


def test_the_same_release_publishes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert versions("a" * 16, monkeypatch) == versions("a" * 16, monkeypatch)


@pytest.mark.parametrize(
    "change",
    [
        lambda build: (build / "Layer" / "module.py").write_text("X = 2\n"),
        lambda build: (build / "Layer" / "other.py").write_text("X = 1\n"),
        lambda build: (build / "Layer" / "module.py").rename(build / "Layer" / "renamed.py"),
        lambda build: (build / "template.yaml").write_text(TEMPLATE.replace("Timeout: 29", "Timeout: 28")),
    ],
)
def test_a_changed_build_is_another_release(build: Path, change: Callable[[Path], object]) -> None:
    before = release_of([build], b"")
    change(build)
    content_digest.cache_clear()
    assert release_of([build], b"") != before


def test_changed_settings_are_another_release(build: Path) -> None:
    assert release_of([build], b"OpenAiModel=one") != release_of([build], b"OpenAiModel=two")


def test_bytecode_and_stamp_do_not_change_a_release(build: Path) -> None:
    bytecode = build / "Layer" / "module.cpython-313.pyc"
    bytecode.write_bytes(b"code")
    before = release_of([build], b"")
    content_digest.cache_clear()
    bytecode.write_bytes(b"the same code, in other bytes")
    (build / "template.yaml").write_text(stamped(TEMPLATE, before))
    assert release_of([build], b"") == before


def test_a_stamp_replaces_the_one_before() -> None:
    twice = stamped(stamped(TEMPLATE, "a" * 16), "b" * 16)
    assert twice == stamped(TEMPLATE, "b" * 16)
    assert stamped(twice, UNRELEASED) == TEMPLATE
