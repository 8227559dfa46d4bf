# Shared: chronos-gpu built from its source; source after lib.sh. Call `need_chronos` before
# install_needed and `install_chronos` once the venv has the locked packages.
# shellcheck shell=bash

need_chronos() {
  need cmake cmake
  need g++ g++
  need make make
  [ -e /usr/include/CL/cl.h ] || NEEDED+=(ocl-icd-opencl-dev)
  # Any driver will do; where there is no GPU it is PoCL, which computes on the CPU.
  compgen -G '/etc/OpenCL/vendors/*.icd' >/dev/null || NEEDED+=(pocl-opencl-icd)
}

# pip reports success for a stub too, so that only a share that was really taken counts.
chronos_works() {
  in_venv python -W error - <<'PYTHON'
import sys

from cumulus.chronos_bindings.native import NativePartitioner
from cumulus.crd_like_specs.errors import DriverError

try:
    partitioner = NativePartitioner()
    try:
        partitioner.release(partitioner.create(0, 1, 1).id)
    finally:
        partitioner.close()
except DriverError as e:
    sys.exit(f"Chronos: {e}")
PYTHON
}

# The published wheel is a stub on Debian 12 and pip may have cached one: hence the two --no-….
install_chronos() {
  chronos_works 2>/dev/null && return
  log "building Chronos"
  quietly in_venv pip install --force-reinstall --no-deps --no-cache-dir --no-build-isolation \
    --no-binary chronos-gpu --require-hashes -r bootstrap/chronos.lock
  chronos_works || die "Chronos was built but holds nothing (a libyaml-cpp-dev that is installed makes it a stub)"
}
