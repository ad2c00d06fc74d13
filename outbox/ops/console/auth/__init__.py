"""Who is at the console: tokens, login, sessions, CSRF."""
