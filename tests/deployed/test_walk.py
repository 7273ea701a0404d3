"""The walk of the README's deployment section."""

from tests.deployed.conftest import PEOPLE, Account

ANN, BOB = PEOPLE


def test_a_person_without_a_token_is_turned_away(released: Account) -> None:
    assert released.call("GET", "/conversations").status == 401


def test_a_turn_is_answered_and_replayed(released: Account) -> None:
    first = released.call("POST", "/chat", ANN, {"message": "Add a task to buy milk"}, Idempotency_Key="walk")
    again = released.call("POST", "/chat", ANN, {"message": "Add a task to buy milk"}, Idempotency_Key="walk")

    assert first.status == 200, first.body
    assert first.body["tool_calls"][0]["tool"] == "create_task"
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["idempotent-replayed"] == "true"


def test_two_people_do_not_see_each_other(released: Account) -> None:
    released.call("POST", "/chat", ANN, {"message": "Add a task to call mum"})

    assert released.call("GET", "/conversations", ANN).body["items"]
    assert released.call("GET", "/conversations", BOB).body["items"] == []
