"""Dead letters for operators: show, preview, replay, discard, edit."""
