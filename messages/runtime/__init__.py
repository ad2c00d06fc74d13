"""What every process needs around the messages: settings, secrets, redaction, traces, priority, crash points."""
