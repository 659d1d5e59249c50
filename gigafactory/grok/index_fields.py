"""What the index holds of a post: terms and times, no text that could be read back as such."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

import tantivy

from gigafactory.grok.log import microseconds
from gigafactory.grok.text_analysis import STEMS, WORDS, pairs
from gigafactory.spec.post import PostKey

if TYPE_CHECKING:
    from gigafactory.spec.post import Post

EDITION: Final = "1"  # of fields and analyzers; an index of another one is made anew
MARK: Final = "place"  # the one document that is no post: how far the log was followed
SEPARATOR: Final = "\x1f"


@cache
def schema() -> tantivy.Schema:
    """Return the fields of the index."""
    made = tantivy.SchemaBuilder()
    made.add_text_field("key", stored=True, tokenizer_name="raw", index_option="basic")
    made.add_text_field("stems", tokenizer_name=STEMS, index_option="freq")
    made.add_text_field("words", tokenizer_name=WORDS, index_option="position")
    made.add_text_field("pairs", tokenizer_name="whitespace", index_option="freq")
    for name in ("author", "source", "lang", "mark"):
        made.add_text_field(name, tokenizer_name="raw", index_option="basic")
    made.add_integer_field("created_us", fast=True)
    made.add_integer_field("stands_us", fast=True)
    made.add_unsigned_field("sequence", stored=True)
    made.add_text_field("log", stored=True, tokenizer_name="raw", index_option="basic")
    return made.build()


def key_term(key: PostKey) -> str:
    """Return the one term that stands for a post."""
    return f"{key.source}{SEPARATOR}{key.id}"


def key_of(term: str) -> PostKey:
    """Return the post that a term stands for."""
    source, _, one = term.partition(SEPARATOR)
    return PostKey(source, one)


def post_document(post: Post) -> tantivy.Document:
    """Return a post as the index holds it."""
    created_us = microseconds(post.created_at)
    edited = post.edited_at
    held = {
        "key": f"{post.source}{SEPARATOR}{post.id}",
        "stems": post.text,
        "words": post.text,
        "author": post.author.lower(),
        "source": families(post.source),
        "lang": families(post.lang.lower(), "-"),
        "created_us": created_us,
        "stands_us": created_us if edited is None else microseconds(edited),
    }
    if unspaced := pairs(post.text):
        held["pairs"] = " ".join(unspaced)
    return tantivy.Document.from_dict(held, schema())


def mark_document(sequence: int, log: str) -> tantivy.Document:
    """Return the document that says how far which log was followed."""
    made = tantivy.Document(mark=MARK, log=f"{EDITION} {log}")
    made.add_unsigned("sequence", sequence)
    return made


@lru_cache(maxsize=4096)
def families(name: str, mark: str = ":") -> list[str]:
    """Return a name and what it belongs to: "mastodon:HOST" is found as "mastodon" too.

    >>> families("mastodon:example.org"), families("en-us", "-"), families("x")
    (['mastodon:example.org', 'mastodon'], ['en-us', 'en'], ['x'])
    """
    return list(dict.fromkeys((name, name.partition(mark)[0])))
