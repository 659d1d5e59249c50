"""The examinations of the answering: feeds written for it, and questions with their gold posts.

There are two, of two worlds and by two hands: FIRST, in this folder, and SECOND, in `second`. Each
was written apart from the answering code, by someone who had not seen it, and frozen by
`frozen.txt` before the two met. All of it is original text: nothing was ever posted on a platform.

`feed.jsonl` is what `giga feed add` reads: a post a line, the same id again edits (`edited_at`
tells when), and `{"id", "deleted": true}` deletes; the lines stand in the order in which they would
have arrived, so that a deletion came right after the line before it.

`questions.jsonl` holds one question a line:

* `now`: when it is asked; nothing posted later may be known, by the time of the posts
  (`created_at`): the feed is loaded whole before the first question. Edits and deletions that
  matter to a question lie before its `now`.
* `turns`: what was said before, `{"role", "text"}` each; the question itself is not among them.
* `gold`: facets of the answer, each a list of posts of which any one supports it. A good answer
  cites a post of each facet, and no post that is in none. Empty: the feed does not hold the answer.
* `answer_contains`: strings that a right answer holds, whatever its case.
* `near_miss`: the question cannot be answered, but shares at least two content words (of `words`)
  with a post: `tempting` names such posts.
* `kind`: what makes it hard; `split`: "dev", whose failures may be read, or "test" ("learn" in the
  learning sets, other worlds by other hands, which are no examinations and may be read).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

FIRST: Final = Path(__file__).parent
SECOND: Final = FIRST / "second"
# No examinations: worlds that are learned from. The judge's sixteen numbers need no more than
# COUNTED (docs/log.md). The reader learns from all but UNREAD: it is surer of what it learned from,
# and what its word is worth is fitted on those.
LEARNING: Final = tuple(sorted(one.parent for one in FIRST.glob("learning/*/feed.jsonl")))
COUNTED: Final = frozenset({"campus", "capital", "islands", "north", "south", "tropics"})
UNREAD: Final = frozenset({"campus", "islands"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One earlier turn of a conversation."""

    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of the examination; the module's docstring tells what the fields mean."""

    id: str
    split: str
    kind: str
    now: datetime
    turns: tuple[Said, ...]
    question: str
    answerable: bool
    gold: tuple[tuple[str, ...], ...]
    answer_contains: tuple[str, ...]
    near_miss: bool
    tempting: tuple[str, ...]

    @property
    def asked(self) -> str:
        """All that the user said, the question last."""
        earlier = [turn.text for turn in self.turns if turn.role == "user"]
        return "\n".join([*earlier, self.question])

    @property
    def supporting(self) -> frozenset[str]:
        """All posts that a right answer may cite."""
        return frozenset(post for facet in self.gold for post in facet)


def questions(split: str | None = None, *, folder: Path = FIRST) -> tuple[Question, ...]:
    """Return the questions of one half of an examination, or all of them."""
    every = (_question(json.loads(line)) for line in lines_of(folder / "questions.jsonl"))
    return tuple(one for one in every if split in {None, one.split})


def feed(folder: Path = FIRST) -> list[dict[str, Any]]:
    """Return the lines of an examination's feed, in the order of their arrival."""
    return [json.loads(line) for line in lines_of(folder / "feed.jsonl")]


def lines_of(file: Path) -> list[str]:
    """Return the lines of a file; only a line feed ends one, as in JSON Lines."""
    return file.read_text("utf-8").removesuffix("\n").split("\n")


def _question(row: dict[str, Any]) -> Question:
    """Return the question that a line tells of; a missing or an unknown field is an error."""
    typed = {
        "now": datetime.fromisoformat(row["now"]),
        "turns": tuple(Said(**turn) for turn in row["turns"]),
        "gold": tuple(tuple(facet) for facet in row["gold"]),
        "answer_contains": tuple(row["answer_contains"]),
        "tempting": tuple(row["tempting"]),
    }
    return Question(**(row | typed))
