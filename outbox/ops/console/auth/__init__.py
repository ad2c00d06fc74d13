"""Authentication of the console: tokens, users of the login form, CSRF."""
