"""The Stripe emulator: an explicit server with its own address, never chosen silently."""
