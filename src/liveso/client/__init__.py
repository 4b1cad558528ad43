"""Asking daemons: how they are reached, what they answer as values, and whose word counts."""
