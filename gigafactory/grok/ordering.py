"""Which of the passages that answer comes first: the best, the newest, the corrected one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gigafactory.grok.evidence import Found
    from gigafactory.grok.judge import Judge

_CORRECTION: Final = re.compile(
    r"\W*(?:correct(?:ion|ed)|clarification|erratum|corrigendum|errata|amendment"
    r"|change of (?:plan|cast|venue|date|time)s?)\b",
    re.IGNORECASE,
)


def order(judge: Judge) -> list[Found]:
    """Return the passages that answer, the best of each post, best first (newest, if asked)."""
    question = judge.question
    found = [one for post in judge.posts if (one := judge.best(post)) is not None]
    if not found and judge.likeliest is not None:
        return [judge.likeliest]
    corrected = [one for one in found if _CORRECTION.match(one.passage.post.text)]
    if corrected and question.asked.kind != "open":
        first = max(one.passage.post.created_at for one in corrected)
        found = [one for one in found if one.passage.post.created_at >= first]
    rank = {id(one): place for place, one in enumerate(found)}
    if question.newest:
        return sorted(found, key=lambda one: one.passage.post.created_at, reverse=True)
    if question.is_present:
        found.sort(key=lambda one: one.passage.post.created_at, reverse=True)
        return sorted(found, key=lambda one: -round(one.score, 2))
    return sorted(found, key=lambda one: (-round(one.score, 2), rank[id(one)]))
