"""The program of a job's container: runs main() of main.py and prints the result's envelope.

Run as a script, by `entrypoint.sh` and by the process platform; everything it does is in the
package `cumulus_runner` beside it, so that Python keeps that compiled. See README.md.
"""

import sys

TYPE_CHECKING = False  # as `typing` has it, without the time that importing it takes
if TYPE_CHECKING:
    from .cumulus_runner.supervise import main
else:
    from cumulus_runner.supervise import main

if __name__ == "__main__":
    # The job's own modules may be called anything: nothing of the runner's folder is in their way.
    del sys.path[0]
    sys.exit(main())
