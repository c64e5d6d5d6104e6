"""What is kept is given again for equal causes, and worked out anew for others."""

from __future__ import annotations

from scheduler.cycle.kept import Kept


def test_an_answer_is_given_again_for_equal_causes_of_its_own_name_alone() -> None:
    kept, made = Kept(), list[tuple[str, int]]()

    def ask(name: str, cause: int) -> list[int]:
        def work_out() -> list[int]:
            made.append((name, cause))
            return [cause]

        return kept.of(name, (cause, "always"), work_out)

    assert [ask("a", 1), ask("a", 1), ask("b", 1), ask("a", 2), ask("b", 1), ask("a", 1)] == [
        [1],
        [1],
        [1],
        [2],
        [1],
        [1],
    ]
    assert made == [("a", 1), ("b", 1), ("a", 2), ("a", 1)]
