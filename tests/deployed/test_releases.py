"""Releases after the first: every one goes live, a failed one does not, and there is a way back and forward.

The tests follow one stage from release to release, so they run in their order.
"""

from tests.deployed.conftest import PEOPLE, Account

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


def sentence(account: Account) -> str:
    """Return what the package says of a conversation that is not there."""
    return str(account.call("GET", "/conversations/4611686018427387904", ANN).body["detail"])


def add_revision(account: Account, statement: str) -> None:
    head = revision(account)
    (account.build / REVISION_FILE).write_text(REVISION.format(head=head, statement=statement))


def revision(account: Account) -> str:
    return str(account.invoke_migrate({"action": "current"})["to_revision"])


def releases(account: Account) -> set[str]:
    """Return the releases that the functions serve."""
    return {account.live(name)["Environment"]["Variables"]["RELEASE"] for name in account.functions}


def is_all_new(account: Account, before: dict[str, str]) -> bool:
    return not account.versions().items() & before.items() and len(releases(account)) == 1


def test_a_failed_migration_stops_the_release(released: Account) -> None:
    before, head = released.versions(), revision(released)
    add_revision(released, "CREATE TABLE nonsense (")
    released.edit(PACKAGE, "There is no conversation", "No conversation")
    failed = released.release()

    assert failed.status == 1
    assert failed.steps[-1] == "migrating the database"
    assert "the action upgrade failed" in failed.output
    assert "Next: nothing is half applied and the release before goes on serving" in failed.output
    assert (released.versions(), revision(released)) == (before, head)
    assert sentence(released).startswith("There is no conversation")


def test_a_release_of_a_layer_alone_goes_live(released: Account) -> None:
    before = released.versions()
    # Corrected. The API's stack differs by its layer alone.
    (released.build / REVISION_FILE).unlink()
    add_revision(released, "SELECT 1")
    released.deploy()

    assert is_all_new(released, before)
    assert revision(released) == "ffffffffffff"
    assert sentence(released).startswith("No conversation")


def test_a_release_of_a_timeout_alone_goes_live(released: Account) -> None:
    before = released.versions()
    released.edit("template.yaml", "Timeout: 29", "Timeout: 28")
    released.deploy()

    assert is_all_new(released, before)
    assert {released.live(name)["Timeout"] for name in released.functions} == {28, 900}


def test_a_broken_release_of_a_parameter_is_rolled_back(released: Account) -> None:
    before = released.versions()
    # The name of another secret, whose value is no connection string.
    released.put_secret(RENAMED, "nonsense")
    released.parameters["DatabaseUrlSecret"] = RENAMED
    broken = released.release()
    variables = released.live("ConversationsFunction")["Environment"]["Variables"]
    back = released.run("rollback")

    assert broken.status == 1
    assert variables["DATABASE_URL_SECRET"] == RENAMED
    assert "live answers 500" in broken.output.partition("FAILED")[2]
    assert "make rollback" in broken.output.partition("Next: ")[2]
    assert back.status == 0, back.output
    assert released.versions() == before
    assert len(releases(released)) == 1
    assert released.call("GET", "/conversations", ANN).status == 200
    # The database stays as it is.
    assert revision(released) == "ffffffffffff"


def test_the_same_release_goes_forward_after_a_rollback(released: Account, database: str) -> None:
    before = released.versions()
    released.put_secret(RENAMED, database)
    released.kill_functions()
    again = released.deploy()

    assert again.output.count("nothing to change") == 2
    assert is_all_new(released, before)
    assert released.call("GET", "/conversations", ANN).status == 200
    # The version before serves on while traffic shifts, and reads the old name with the role of now.
    old = released.invoke_version("ConversationsFunction", before["ConversationsFunction"])
    assert old["statusCode"] == 200


def test_three_releases_are_kept(released: Account) -> None:
    for name, version in released.versions().items():
        assert len(released.published(name)) == 3
        assert version in released.published(name)


def test_a_second_rollback_goes_one_further_and_a_release_forward(released: Account) -> None:
    newest = released.versions()
    assert released.run("rollback").status == 0
    middle = released.versions()
    assert released.run("rollback").status == 0

    assert is_all_new(released, newest)
    assert is_all_new(released, middle)
    assert released.deploy().output.count("nothing to change") == 2
    assert released.versions() == newest


def test_a_second_deployment_tries_a_turn_and_changes_nothing(released: Account) -> None:
    made = released.run("user", "--email", "smoke@example.com", "--test")
    before = released.state()
    again = released.deploy()

    assert made.status == 0
    assert "POST /chat as smoke@example.com: 200" in again.output
    assert again.output.count("nothing to change") == 2
    assert released.state() == before


def test_an_older_release_warns_of_a_database_that_is_ahead(released: Account) -> None:
    before = released.versions()
    (released.build / REVISION_FILE).unlink()
    released.parameters["TrafficShift"] = "Sideways"
    refused = released.release()
    del released.parameters["TrafficShift"]

    assert "WARNING: the database is ahead of this release, at ffffffffffff" in refused.output
    # The release goes on after the warning, to a template that CloudFormation refuses.
    assert refused.status == 1
    assert refused.steps[-1].startswith("deploying the API")
    assert "TrafficShift" in refused.output.partition("FAILED")[2]
    assert released.versions() == before
