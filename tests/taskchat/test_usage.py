"""Usage and limits of one person, on both databases."""

import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text, update

from taskchat import turns, usage
from taskchat.database import Database
from taskchat.errors import UsageLimitReachedError
from taskchat.limits import Limits
from taskchat.models import Turn
from taskchat.turns import FinishedTurn, StartedTurn, TurnRequest
from taskchat.usage import UsageRecord
from tests.support.owner import as_owner
from tests.support.statements import indexes, nodes, plan, recorded
from tests.taskchat.turns.transitions import ANN, BOB, finish, interrupt, record_step, turn_request

TOKENS_OF_A_TURN = 33


def begin(database: Database, request: TurnRequest, limits: Limits) -> StartedTurn | FinishedTurn:
    token = uuid.uuid4()
    return database.transaction(
        request.principal.user_id, lambda connection: turns.begin(connection, request, token, 30.0, limits)
    )


def finished_turn(database: Database, key: str, limits: Limits) -> None:
    """Begin a turn, record a step and finish it."""
    turn = begin(database, turn_request(key), limits)
    assert isinstance(turn, StartedTurn)
    finish(database, record_step(database, turn.lease))


def usage_of_ann(database: Database, limits: Limits) -> UsageRecord:
    return database.transaction(ANN.user_id, lambda connection: usage.usage(connection, ANN.user_id, limits))


def test_usage_adds_up_the_tokens_of_the_day(database: Database) -> None:
    limits = Limits(1_000, 60, 5)
    finished_turn(database, "one", limits)
    finished_turn(database, "two", limits)
    begin(database, turn_request("running"), limits)

    used = usage_of_ann(database, limits)

    assert (used.turns, used.turns_in_minute, used.turns_in_flight, used.tokens) == (3, 3, 1, 2 * TOKENS_OF_A_TURN)
    now = datetime.now(UTC)
    assert used.period_started_at <= now < used.resets_at == used.period_started_at + timedelta(days=1)
    assert (used.period_started_at.hour, used.period_started_at.minute) == (0, 0)


def test_tokens_of_the_day_before_do_not_count(database: Database) -> None:
    limits = Limits(tokens_per_day=TOKENS_OF_A_TURN)
    finished_turn(database, "yesterday", limits)
    with pytest.raises(UsageLimitReachedError):
        begin(database, turn_request("today"), limits)
    earlier = usage_of_ann(database, limits).period_started_at - timedelta(seconds=1)
    as_owner(database, lambda connection: connection.execute(update(Turn).values(created_at=earlier)))
    begin(database, turn_request("today"), limits)


@pytest.mark.parametrize(
    ("limits", "name", "used"),
    [
        (Limits(tokens_per_day=TOKENS_OF_A_TURN), "tokens-per-day", TOKENS_OF_A_TURN),
        (Limits(turns_per_minute=1), "turns-per-minute", 1),
    ],
)
def test_a_limit_refuses_a_new_turn_and_names_itself(database: Database, limits: Limits, name: str, used: int) -> None:
    finished_turn(database, "one", limits)
    with pytest.raises(UsageLimitReachedError) as refused:
        begin(database, turn_request("two"), limits)
    members = refused.value.members()
    assert (members["limit"], members["maximum"], members["used"]) == (name, used, used)
    assert 1 <= refused.value.retry_after_seconds <= (86_400 if name == "tokens-per-day" else 60)
    assert (members["resets_at"] is None) == (name == "turns-per-minute")
    # The refused turn left nothing, and other people are not concerned.
    assert usage_of_ann(database, limits).turns == 1
    begin(database, turn_request("two", person=BOB), limits)


def test_turns_in_flight_leave_room_when_one_ends(database: Database) -> None:
    limits = Limits(turns_in_flight=1)
    turn = begin(database, turn_request("one"), limits)
    assert isinstance(turn, StartedTurn)
    with pytest.raises(UsageLimitReachedError, match="answered at once"):
        begin(database, turn_request("two"), limits)
    finish(database, turn.lease)
    begin(database, turn_request("two"), limits)


def test_an_accepted_turn_is_limited_and_counted(database: Database) -> None:
    limits = Limits(turns_in_flight=1)

    def accept(key: str) -> object:
        return database.transaction(ANN.user_id, lambda connection: turns.accept(connection, turn_request(key), limits))

    accept("one")
    with pytest.raises(UsageLimitReachedError):
        accept("two")
    with pytest.raises(UsageLimitReachedError):
        begin(database, turn_request("three"), limits)
    accept("one")


def test_a_replay_and_a_continuation_are_never_refused(database: Database) -> None:
    limits = Limits(TOKENS_OF_A_TURN, 2, 1)
    finished_turn(database, "one", Limits())
    stopped = begin(database, turn_request("two"), Limits())
    assert isinstance(stopped, StartedTurn)
    interrupt(database, stopped.lease)

    assert isinstance(begin(database, turn_request("one"), limits), FinishedTurn)
    assert isinstance(begin(database, turn_request("two"), limits), StartedTurn)
    with pytest.raises(UsageLimitReachedError):
        begin(database, turn_request("three"), limits)


@pytest.mark.parametrize("limits", [Limits(turns_per_minute=3), Limits(turns_in_flight=3)], ids=["minute", "flight"])
def test_of_twenty_at_once_one_takes_the_last_place(database: Database, limits: Limits) -> None:
    for key in ("one", "two"):
        begin(database, turn_request(key), limits)
    started: list[object] = []
    refused: list[UsageLimitReachedError] = []
    together = threading.Barrier(20)

    def ask(number: int) -> None:
        together.wait()
        try:
            started.append(begin(database, turn_request(f"at once {number}"), limits))
        except UsageLimitReachedError as error:
            refused.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(started), len(refused)) == (1, 19)
    as_ann = usage_of_ann(database, limits)
    assert as_ann.turns == 3


TURNS_OF_THE_PAST = f"""
INSERT INTO users (id, subject) VALUES ('{ANN.user_id}', 'ann'), ('{BOB.user_id}', 'bob');
INSERT INTO turns (id, user_id, idempotency_key, request_hash, status, attempt, lease_expires_at, created_at)
SELECT md5(number::text)::uuid, CASE number % 2 WHEN 0 THEN '{ANN.user_id}'::uuid ELSE '{BOB.user_id}'::uuid END,
       number, '', 'finished', 1, '2026-01-01', now() - number * interval '1 minute'
FROM generate_series(1, 20000) AS number;
ANALYZE;
"""


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_the_counts_read_only_turns_of_the_day(database: Database) -> None:
    as_owner(database, lambda connection: connection.execute(text(TURNS_OF_THE_PAST)))
    with recorded(database.engine()) as statements:
        usage_of_ann(database, Limits())
    (counting,) = [statement for statement in statements if "FROM turns" in statement]
    root = database.transaction(ANN.user_id, lambda connection: plan(connection, counting))
    assert indexes(root) <= {
        "ix_turns_user_id_created_at",
        "ix_turns_user_id_unfinished",
        "ix_turns_unfinished",
    }
    assert "Seq Scan" not in {node["Node Type"] for node in nodes(root)}
