"""A chatbot that reads the live feed and shows its sources.

    sources/*  ─Batch→  log (SQLite, the truth)  ─changes→  index (tantivy)        one process writes
    question  ─question→  Query  ─retrieve→  Hits  ─answerer→  drafts  ─verify→  Answer   any may read

`doors` holds the interfaces between these rooms.
"""
