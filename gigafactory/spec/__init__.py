"""Nouns: frozen dataclasses, standard library only."""
