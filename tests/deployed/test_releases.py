"""Releases after the first: every one goes live, a failed one does not, and there is a way back and forward."""

from collections.abc import Iterator

import pytest

from tests.deployed.conftest import PEOPLE, Account

ANN, _ = PEOPLE
BAD_REVISION = '''"""A revision that fails half way."""

from alembic import op

revision = "ffffffffffff"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make a table, and then what cannot be made."""
    op.execute("CREATE TABLE half (id INTEGER)")
    op.execute("{statement}")


def downgrade() -> None:
    """Drop the table."""
    op.execute("DROP TABLE half")
'''
REVISION = "migrate/MigrateFunction/migrations/versions/ffffffffffff_more.py"


def missing(account: Account) -> str:
    """Return the sentence of the package for a conversation that is not there."""
    return str(account.call("GET", "/conversations/4611686018427387904", ANN).body["detail"])


def add_revision(account: Account, statement: str) -> None:
    head = account.invoke_migrate({"action": "current"})["to_revision"]
    (account.build / REVISION).write_text(BAD_REVISION.format(head=head, statement=statement))


@pytest.fixture
def before(released: Account) -> Iterator[dict[str, str]]:
    """Return the versions that serve before the test."""
    return released.versions()  # type: ignore[return-value]


def test_a_release_of_a_layer_alone_goes_live(released: Account) -> None:
    before = released.versions()
    released.edit(
        "TaskchatLayer/python/taskchat/conversations/listing.py", "There is no conversation", "No conversation"
    )
    released.deploy()

    assert not set(released.versions().items()) & set(before.items())
    assert missing(released).startswith("No conversation")


def test_a_release_of_a_timeout_alone_goes_live(released: Account) -> None:
    before = released.versions()
    released.edit("template.yaml", "Timeout: 29", "Timeout: 28")
    released.deploy()

    assert not set(released.versions().items()) & set(before.items())
    assert {released.live(name)["Timeout"] for name in released.functions} == {28}


def test_a_renamed_secret_goes_live_without_an_outage(released: Account, database: str) -> None:
    before = released.versions()
    released.put_secret("taskchat/dev/renamed", database)
    released.parameters["DatabaseUrlSecret"] = "taskchat/dev/renamed"
    released.deploy()
    released.kill_functions()

    variables = released.live("ConversationsFunction")["Environment"]["Variables"]
    assert variables["DATABASE_URL_SECRET"] == "taskchat/dev/renamed"
    assert released.call("GET", "/conversations", ANN).status == 200
    # A version that still serves somewhere, as during a shift of traffic, reads the old name with the new role.
    assert released.invoke_version("ConversationsFunction", before["ConversationsFunction"])["statusCode"] == 200


def test_old_versions_are_deleted_and_three_releases_kept(released: Account) -> None:
    kept = {name: released.published(name) for name in released.functions}

    assert {name: len(versions) for name, versions in kept.items()} == dict.fromkeys(released.functions, 3)
    assert all(released.versions()[name] in versions for name, versions in kept.items())


def test_a_failed_migration_stops_the_release(released: Account) -> None:
    before = released.versions()
    add_revision(released, "CREATE TABLE nonsense (")
    released.edit("TaskchatLayer/python/taskchat/conversations/listing.py", "No conversation", "Nothing like")
    failed = released.release()

    assert failed.status == 1
    assert failed.steps[-1] == "migrating the database"
    assert "the action upgrade failed" in failed.output
    assert "Next: nothing is half applied and the release before goes on serving" in failed.output
    assert released.versions() == before
    assert missing(released).startswith("No conversation")
    assert released.invoke_migrate({"action": "current"})["to_revision"] != "ffffffffffff"


def test_the_corrected_release_goes_live(released: Account) -> None:
    add_revision(released, "SELECT 1")
    released.deploy()

    assert released.invoke_migrate({"action": "current"})["to_revision"] == "ffffffffffff"
    assert missing(released).startswith("Nothing like")


def test_a_broken_release_is_found_and_rolled_back(released: Account) -> None:
    before = released.versions()
    # The code is older than the database, as after a revert, and one function cannot be imported.
    (released.build / REVISION).unlink()
    released.edit("McpFunction/functions/mcp/app.py", "from fastapi import", "from fastapy import")
    broken = released.release()
    back = released.run("rollback")

    assert broken.status == 1
    assert "WARNING: the database is ahead of this release, at ffffffffffff" in broken.output
    assert "McpFunction" in broken.output.partition("FAILED")[2]
    assert "make rollback" in broken.output
    assert back.status == 0, back.output
    assert released.versions() == before
    assert released.call("GET", "/conversations", ANN).status == 200


def test_a_second_rollback_goes_one_further(released: Account) -> None:
    before = released.versions()
    back = released.run("rollback")

    assert back.status == 0, back.output
    assert not set(released.versions().items()) & set(before.items())
    assert missing(released).startswith("No conversation")


def test_the_next_release_goes_forward_again(released: Account) -> None:
    released.edit("McpFunction/functions/mcp/app.py", "from fastapy import", "from fastapi import")
    released.deploy()

    assert missing(released).startswith("Nothing like")
    assert len({released.live(name)["Environment"]["Variables"]["RELEASE"] for name in released.functions}) == 1


def test_an_unchanged_release_goes_forward_after_a_rollback(released: Account) -> None:
    newest = released.versions()
    assert released.run("rollback").status == 0
    assert released.versions() != newest
    again = released.deploy()

    assert again.output.count("nothing to change") == 2
    assert released.versions() == newest
