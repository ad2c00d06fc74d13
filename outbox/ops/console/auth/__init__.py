"""Authentication of the console: tokens, the login form, sessions, CSRF."""
