"""Gateway: the one way in. It checks, keeps, answers, and hears what became of what it took."""
