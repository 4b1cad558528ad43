"""What became of a build: from the daemon's status and what lies on disk."""

from collections.abc import Mapping

from liveso.cli.rebuild.outcome import Before, Outcome, State, before_build, is_trouble, not_served, outcomes, summary
from liveso.client.answer import Library, Status, Target

GAME = "/game/libgame.so"


def status(*libraries: Library, pid: int = 7, note: str = "") -> Status:
    return Status(1, "", (), (Target(pid, "./game", 0, note, libraries),))


def after(now: Library, disk: Mapping[str, str], before: str = "old", pid: int = 7) -> list[Outcome]:
    """What is found where version `before` ran in process 7, and `disk` has the files' contents now."""
    known = before_build(100.0, status(Library(now.path, "current", before)), [7], {now.path: before}.get)
    return outcomes(status(now, pid=pid), [7], known, disk.get, lambda path: disk.get(path, ""))


def test_a_library_goes_in() -> None:
    (found,) = after(Library(GAME, "updated", "new", milliseconds=12.3), {GAME: "new"})
    assert (found.state, found.milliseconds) == (State.IN, 12.3)
    assert summary([found], []) == "libgame.so: updated in 12 ms" and not is_trouble([found], [])


def test_a_library_that_is_not_yet_known_to_be_another_is_waited_for() -> None:
    (found,) = after(Library(GAME, "current", "old"), {GAME: "new"})
    assert found.state is State.PENDING and not is_trouble([found], [])
    assert "no answer" in summary([found], [])


def test_a_refusal_of_an_older_build_is_no_answer() -> None:
    (found,) = after(Library(GAME, "refused", "old", reason="it grew", refused_version="older"), {GAME: "new"})
    assert found.state is State.PENDING


def test_a_refusal_is_told_with_its_reason() -> None:
    (found,) = after(Library(GAME, "refused", "old", reason="it grew", refused_version="new"), {GAME: "new"})
    assert summary([found], []) == "libgame.so: refused: it grew" and is_trouble([found], [])


def test_what_was_rolled_back_is_told() -> None:
    (found,) = after(Library(GAME, "rolled back", "old", reason="by hand", rolled_back_over="new"), {GAME: "new"})
    assert (found.state, found.word) == (State.NOT_IN, "rolled back")


def test_what_was_built_with_the_same_content_or_not_at_all_is_not_told() -> None:
    assert after(Library(GAME, "current", "old"), {GAME: "old"}) == []
    known = before_build(100.0, status(Library(GAME, "refused", "old")), [7], lambda path: "file")
    assert outcomes(status(Library(GAME, "refused", "old")), [7], known, lambda path: "file", lambda path: "new") == []
    assert summary([], []) == "nothing that the program has loaded is another one now"


def test_a_program_that_had_just_begun_is_told_what_went_in_since() -> None:
    nothing = Before(100.0, {})
    for changed, expected in ((99.0, 0), (101.0, 1)):
        now = status(Library(GAME, "updated", "new", changed=changed))
        assert len(outcomes(now, [7], nothing, lambda path: "file", lambda path: "new")) == expected


def test_a_file_that_is_missing_is_not_told() -> None:
    assert after(Library(GAME, "current", "old"), {}) == []


def test_other_processes_do_not_matter() -> None:
    assert after(Library(GAME, "updated", "new"), {GAME: "new"}, pid=8) == []


def test_old_code_that_goes_on_is_told() -> None:
    (found,) = after(Library(GAME, "updated", "new", stale_threads=("thread 3 is in run",)), {GAME: "new"})
    assert summary([found], []) == "libgame.so: updated, but thread 3 is in run"


def test_processes_are_counted_and_the_program_itself_is_told() -> None:
    inside = [Outcome(pid, GAME, State.IN, "updated", "", 10.0 * pid) for pid in (1, 2)]
    out = Outcome(3, GAME, State.NOT_IN, "refused", "it grew")
    text = summary([*inside, out], ["/game/game"])
    assert text == (
        "libgame.so: updated in 20 ms in 2 processes; libgame.so: refused: it grew; "
        "game itself is another one: only a restart runs it"
    )
    assert is_trouble([], ["/game/game"])


def test_what_is_not_served_at_all_has_a_reason() -> None:
    assert not_served(status(note="it is traced"), [7]) == "it is traced"
    assert not_served(status(note="it is traced"), [8]) == ""
    assert not_served(status(Library(GAME, "current")), [7]) == ""
