"""Is the Gigafactory four times Meta's largest cluster? The catalog answers."""

from gigafactory.report import clusters

print(clusters.answer())
