"""The record of releases: where a rollback goes, and what a deployment leaves."""

from deploy.releases import Release, before, with_new


def release(name: str) -> Release:
    return Release(name, "commit", "2026-11-25T10:00:00+00:00", {"chat": name, "mcp": name})


A, B, C = release("1"), release("2"), release("3")
UNRECORDED = release("9")


def test_a_rollback_goes_to_the_release_before() -> None:
    assert before([A, B, C], C.versions) == B
    assert before([A, B, C], B.versions) == A
    assert before([A, B, C], A.versions) is None
    assert before([], A.versions) is None


def test_a_release_that_failed_its_test_is_left_for_the_last() -> None:
    assert before([A, B], UNRECORDED.versions) == B


def test_a_release_is_recorded_after_the_one_that_served() -> None:
    assert with_new([], {}, A) == [A]
    assert with_new([A], A.versions, B) == [A, B]


def test_releases_that_were_rolled_back_are_forgotten() -> None:
    assert with_new([A, B], A.versions, C) == [A, C]


def test_the_same_release_forward_again_stands_once() -> None:
    assert with_new([A, B], A.versions, B) == [A, B]
    assert with_new([A, B], B.versions, B) == [A, B]


def test_a_failed_release_leaves_the_record() -> None:
    assert with_new([A, B], UNRECORDED.versions, C) == [A, B, C]
