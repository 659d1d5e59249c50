"""A chatbot that reads the live feed and shows its sources.

    sources/*  ─Batch→  log (SQLite, the truth)  ─changes→  index (tantivy)
    question  ─→  Query  ─retrieve→  Hits  ─answerer→  drafts  ─verify→  Answer

One process writes the feed, any number read it. `doors` holds the interfaces between these rooms.
"""
