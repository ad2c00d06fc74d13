"""Dead letters: classification, the checks before a replay, the replay."""
