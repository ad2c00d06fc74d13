"""Who is at the console: tokens, the people who log in by form, CSRF."""
