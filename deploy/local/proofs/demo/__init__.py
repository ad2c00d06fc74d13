"""The demo: a seeded on-sale against the whole fleet on this machine, watched live and verified at its end."""
