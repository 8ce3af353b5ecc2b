"""`python -m servicekit.healthcheck [live|ready]`: exit status 0 if the service in this container is so.

For an engine that can run a command but not ask by HTTP. It imports nothing of the services, for it is run every few
seconds beside each of them.
"""

import http.client
import os
import sys

TIMEOUT_S = 5.0


def answer(what: str, port: int) -> tuple[bool, str]:
    """Whether `/health/<what>` on this machine answers 200, and in words what it says."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", f"/health/{what}")
        response = connection.getresponse()
        return response.status == http.HTTPStatus.OK, response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return False, f"no answer on port {port}: {error!r}"
    finally:
        connection.close()


def main(arguments: list[str]) -> int:
    """Live unless told otherwise: what calls for a restart is not the same as what is not there yet."""
    what = arguments[0] if arguments else "live"
    if what not in ("live", "ready") or len(arguments) > 1:
        sys.stderr.write("usage: python -m servicekit.healthcheck [live|ready]\n")
        return 2
    well, said = answer(what, int(os.environ.get("OCOP_HTTP_PORT", "8080")))
    sys.stdout.write(f"{said}\n")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
