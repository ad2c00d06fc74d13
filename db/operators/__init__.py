"""What operators request and decide, their log, and the timeline they read."""
