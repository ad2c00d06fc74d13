"""The control port, for tests and demos, and its client.

The server's side is `api.py` and what it routes to; `client.py` imports nothing of the server.
"""

from .client import ControlRefusedError, EmulatorControl

__all__ = ["ControlRefusedError", "EmulatorControl"]
