"""Where posts come from: X, Bluesky, Mastodon, files and the factory's own runs.

    bytes  ─read→  events  ─parse→  Post | Deletion  ─Batch(changes, cursor)→  log

Each platform has a reader (its protocol: connection, cursor, backoff, watchdog) and a parser (its
words: bytes in, changes or an incident out, never an exception). All that a platform says is
untrusted: it passes through `text` and `posts` on its way. Reading on from a cursor delivers
again rather than leaves out; changes carry a `revision`, so a repetition changes nothing.
"""
