"""Events: an action with its fields, and nothing else."""

import pytest

from functions.migrate.errors import InvalidEventError
from functions.migrate.events import Downgrade, Upgrade, read_request
from tests.functions.migrate.conftest import Migrate, step
from tests.support.revisions import HEAD


@pytest.mark.parametrize("event", [{}, {"action": "upgrade"}, {"revision": "head"}])
def test_an_event_without_action_upgrades(event: object) -> None:
    assert read_request(event) == Upgrade(action="upgrade", revision="head")


@pytest.mark.parametrize("revision", ["bcde77eeb26a", "head", "base", "-1", "+1", "bcde+1"])
def test_a_revision_may_be_relative(revision: str) -> None:
    assert read_request({"revision": revision}) == Upgrade(action="upgrade", revision=revision)


def test_a_downgrade_is_not_confirmed_by_itself() -> None:
    assert read_request({"action": "downgrade", "revision": "base"}) == Downgrade(
        action="downgrade", revision="base", confirm=False
    )


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        ({"action": "downgrade"}, "revision: Field required"),
        ({"action": "downgrade", "confirm": True}, "revision: Field required"),
        ({"action": "downgrade", "revision": "base", "confirm": "true"}, "confirm: .*valid boolean"),
        ({"action": "downgrade", "revision": "base", "confirm": 1}, "confirm: .*valid boolean"),
        ({"action": "downgrade", "revision": None, "confirm": True}, "revision: .*valid string"),
        ({"action": "stamp"}, "revision: Field required"),
        ({"action": "upgrade", "revision": 7}, "revision: .*valid string"),
        ({"action": "upgrade", "revision": ""}, "revision: .*match"),
        ({"action": "upgrade", "revision": "a" * 201}, "revision: .*200"),
        ({"action": "upgrade", "revision": "base; DROP TABLE users"}, "revision: .*match"),
        ({"action": "upgrade", "revision": "base:head"}, "revision: .*match"),
        ({"action": "sql", "revision": "base:head:base"}, "revision: .*match"),
        ({"action": "upgrade", "confirm": True}, "confirm: Extra inputs"),
        ({"action": "current", "revision": "head"}, "revision: Extra inputs"),
        ({"revison": "head"}, "revison: Extra inputs"),
        ({"action": "drop"}, "'drop' .*does not match"),
        ({"action": "Upgrade"}, "'Upgrade' .*does not match"),
        ({"action": None}, "action"),
        ([], "the event must be a JSON object"),
        ("upgrade", "the event must be a JSON object"),
        (None, "the event must be a JSON object"),
    ],
)
def test_an_invalid_event_is_refused(event: object, fault: str) -> None:
    with pytest.raises(InvalidEventError, match=fault):
        read_request(event)


def test_an_invalid_event_changes_nothing(migrated: Migrate) -> None:
    with pytest.raises(InvalidEventError):
        migrated({"action": "downgrade", "revision": "base", "confirm": 1})

    assert step(migrated({"action": "verify"})) == (HEAD, HEAD, [])
