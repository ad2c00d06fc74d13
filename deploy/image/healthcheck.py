"""For the image's HEALTHCHECK: 0 when this container's process says that it lives, 1 when it does not.

Standard library alone, because it runs every few seconds in every container.
"""

import http.client
import os
import sys


def main() -> int:
    """Kubernetes asks by itself (the probes of deploy/kubernetes); this is for engines that do not."""
    port = os.environ.get("HEALTH_PORT")
    if not port:
        return 0  # a job, such as `fleet migrate`: it serves nothing, and its exit code tells the rest
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=2)
    try:
        connection.request("GET", "/health/live")
        return 0 if connection.getresponse().status == http.client.OK else 1
    except OSError:
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
