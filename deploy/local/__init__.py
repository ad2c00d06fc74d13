"""The one-machine stack for demo and tests; never imported by product packages."""
