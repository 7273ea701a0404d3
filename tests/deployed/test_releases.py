"""Releases after the first: every one goes live, a failed one does not, and there is a way back and forward."""

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text

from taskchat.database import driver_url
from tests.deployed.conftest import HTTP_TIMEOUT_SECONDS, PEOPLE, Account

ANN, _ = PEOPLE
PACKAGE = "TaskchatLayer/python/taskchat/**/*.py"
REVISION = '''"""A revision of a test."""

from alembic import op

revision = "ffffffffffff"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make a table, and more."""
    op.execute("CREATE TABLE half (id INTEGER)")
    op.execute("{statement}")


def downgrade() -> None:
    """Drop the table."""
    op.execute("DROP TABLE half")
'''
RENAMED = "taskchat/dev/renamed"
REVISION_FILE = "migrate/MigrateFunction/migrations/versions/ffffffffffff_of_a_test.py"


@pytest.fixture(scope="module")
def changing(released: Account) -> Iterator[Account]:
    """Return the account; after the tests of this module the first release serves again."""
    yield released
    released.deploy()


@pytest.fixture
def stage(changing: Account) -> Iterator[Account]:
    """Return the account; its build and its parameters are put back after the test, and what serves is not."""
    parameters = dict(changing.parameters)
    yield changing
    changing.restore()
    changing.parameters.clear()
    changing.parameters.update(parameters)


def sentence(account: Account) -> str:
    """Return what the package says of a conversation that is not there."""
    return str(account.call("GET", "/conversations/4611686018427387904", ANN).body["detail"])


def revision(account: Account) -> str:
    return str(account.invoke_migrate({"action": "current"})["to_revision"])


def releases(account: Account) -> set[str]:
    """Return the releases that the functions serve."""
    return {account.live(name)["Environment"]["Variables"]["RELEASE"] for name in account.functions}


def is_all_new(account: Account, before: dict[str, str]) -> bool:
    return not account.versions().items() & before.items() and len(releases(account)) == 1


def test_a_failed_migration_stops_the_release(stage: Account) -> None:
    before, head, said = stage.versions(), revision(stage), sentence(stage)
    failing = REVISION.format(head=head, statement="CREATE TABLE nonsense (")
    stage.write(stage.build / REVISION_FILE, failing)
    stage.edit(PACKAGE, "There is no conversation", "No conversation")
    failed = stage.release()

    assert failed.status == 1
    assert failed.steps[-1] == "migrating the database"
    assert "the action upgrade failed" in failed.output
    assert "Next: nothing is half applied and the release before goes on serving" in failed.output
    assert (stage.versions(), revision(stage), sentence(stage)) == (before, head, said)


def test_a_broken_release_goes_back_and_then_forward(stage: Account, database: str) -> None:
    before, head = stage.versions(), revision(stage)
    # The name of another secret, whose value is no connection string.
    stage.put_secret(RENAMED, "nonsense")
    stage.parameters["DatabaseUrlSecret"] = RENAMED
    broken = stage.release()
    variables = stage.live("ConversationsFunction")["Environment"]["Variables"]
    back = stage.run("rollback")

    assert broken.status == 1
    assert variables["DATABASE_URL_SECRET"] == RENAMED
    assert "live answers 500" in broken.output.partition("FAILED")[2]
    assert "make rollback" in broken.output.partition("Next: ")[2]
    assert back.status == 0, back.output
    assert stage.versions() == before
    assert len(releases(stage)) == 1
    assert stage.call("GET", "/conversations", ANN).status == 200
    # The database stays as it is.
    assert revision(stage) == head

    stage.put_secret(RENAMED, database)
    stage.kill_functions()
    again = stage.deploy()

    assert again.output.count("nothing to change") == 2
    assert is_all_new(stage, before)
    assert stage.call("GET", "/conversations", ANN).status == 200
    # The version before serves on while traffic shifts, and reads the old name with the role of now.
    old = stage.invoke_version("ConversationsFunction", before["ConversationsFunction"])
    assert old["statusCode"] == 200


def test_every_release_goes_live_and_three_are_kept(stage: Account) -> None:
    def nothing() -> None: ...

    def a_layer() -> None:
        stage.edit(PACKAGE, "There is no conversation", "No conversation")

    def a_timeout() -> None:
        stage.edit("template.yaml", f"Timeout: {HTTP_TIMEOUT_SECONDS}", f"Timeout: {HTTP_TIMEOUT_SECONDS - 1}")

    def a_parameter() -> None:
        stage.parameters["LogRetentionDays"] = "3"

    served: list[dict[str, str]] = []
    # Each differs from the one before by that change alone.
    for change in (nothing, a_layer, a_timeout, a_parameter):
        change()
        stage.deploy()
        assert not served or is_all_new(stage, served[-1]), change
        served.append(stage.versions())
    assert sentence(stage).startswith("No conversation")
    assert {stage.live(name)["Timeout"] for name in stage.functions} == {HTTP_TIMEOUT_SECONDS - 1, 900}

    for name in stage.functions:
        assert stage.published(name) == {versions[name] for versions in served[-3:]}
    for versions in (served[-2], served[-3]):
        assert stage.run("rollback").status == 0
        assert stage.versions() == versions
    assert stage.deploy().output.count("nothing to change") == 2
    assert stage.versions() == served[-1]


def test_a_second_deployment_tries_a_turn_and_changes_nothing(stage: Account) -> None:
    made = stage.run("user", "--email", "smoke@example.com", "--test")
    first = stage.deploy()
    before = stage.state()
    again = stage.deploy()

    assert made.status == 0
    for run in (first, again):
        assert "POST /chat as smoke@example.com: 200" in run.output
    assert again.output.count("nothing to change") == 2
    assert stage.state() == before


def test_a_release_warns_of_a_database_that_is_ahead(stage: Account, database: str) -> None:
    before, head = stage.versions(), revision(stage)
    stage.parameters["TrafficShift"] = "Sideways"
    engine = create_engine(driver_url(database))
    move = text("UPDATE alembic_version SET version_num = :revision")
    with engine.begin() as connection:
        connection.execute(move, {"revision": "ffffffffffff"})
    try:
        refused = stage.release()
    finally:
        with engine.begin() as connection:
            connection.execute(move, {"revision": head})
        engine.dispose()

    assert "WARNING: the database is ahead of this release, at ffffffffffff" in refused.output
    # The release goes on after the warning, to a template that CloudFormation refuses.
    assert refused.status == 1
    assert refused.steps[-1].startswith("deploying the API")
    assert "TrafficShift" in refused.output.partition("FAILED")[2]
    assert stage.versions() == before
