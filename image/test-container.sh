#!/bin/bash
# Builds the image and runs test-job and several failing jobs in it with `docker run`, as locked
# down as Swarm runs them: no network, read-only, no capabilities, uid 1000. Prints PASS or FAIL
# for each case; the exit code is 0 when all passed.
#
#   image/test-container.sh [IMAGE]     IMAGE: test this one, build nothing
set -euo pipefail
cd "$(dirname "$0")"

IMAGE=${1:-}
if [ -z "$IMAGE" ]; then
    ./build.sh
    IMAGE=cumulus-job:latest
fi
ROOT=$(mktemp -d)
RUN=cumulus-test-container-$$
trap 'docker rm -f "$RUN" >/dev/null 2>&1 || true; rm -rf "$ROOT"' EXIT
chmod 755 "$ROOT"
FAILED=0

# zip FOLDER ARCHIVE: with Python, which builds need anyway.
pack() {
    python3 - "$1" "$2" <<'PY'
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(sys.argv[2], "w", zipfile.ZIP_DEFLATED) as file:
    for path in sorted(folder.rglob("*")):
        file.write(path, path.relative_to(folder))
PY
}

# job NAME: a job's folder with what stdin holds as main.py; its path is in $JOB.
job() {
    JOB=$ROOT/$1
    mkdir -p "$JOB/code"
    cat >"$JOB/code/main.py"
    pack "$JOB/code" "$JOB/code.zip"
}

# run [docker options]: the job in $JOB; sets CODE, leaves stdout, its last line and stderr in files.
run() {
    set +e
    docker run --rm --name "$RUN" --init --network none --read-only --cap-drop ALL \
        --security-opt no-new-privileges --pids-limit 256 --tmpfs /tmp --volume /work \
        --volume "$JOB:/job:ro" -e JOB_ID=test-123 -e CHRONOS_PARTITION_ID=partition-456 \
        -e GPU_DEVICE=0 "$@" "$IMAGE" >"$ROOT/stdout" 2>"$ROOT/stderr"
    CODE=$?
    set -e
    tail -n 1 "$ROOT/stdout" >"$ROOT/last"
}

# expect NAME CODE TEXT...: the exit code, and that each text stands in the last line.
expect() {
    local name=$1 code=$2 problem='' text
    shift 2
    [ "$CODE" -eq "$code" ] || problem="exit code $CODE, expected $code"
    for text in '{"status": "' "$@"; do
        grep -qF -- "$text" "$ROOT/last" || problem="${problem:+$problem; }no '$text' in the envelope"
    done
    python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$ROOT/last" 2>/dev/null ||
        problem="${problem:+$problem; }the last line is no JSON"
    if [ -z "$problem" ]; then
        echo "PASS $name"
    else
        echo "FAIL $name: $problem"
        tail -n 5 "$ROOT/stdout" | cut -c1-500 | sed 's/^/     | /'
        tail -n 5 "$ROOT/stderr" | cut -c1-500 | sed 's/^/     ! /'
        FAILED=1
    fi
}

JOB=$ROOT/test-job
mkdir "$JOB"
pack test-job "$JOB/code.zip"
echo '{"size": 10}' >"$JOB/args.json"
run
expect "test-job sums with numpy" 0 '"status": "success"' '"result": 55' '"uid": 1000' \
    '"job_id": "test-123"' '"chronos_partition": "partition-456"' '"gpu_device": "0"'
grep -qx "summing 1 to 10" "$ROOT/stdout" || { echo "FAIL test-job's line is missing"; FAILED=1; }

job raises <<'PY'
def main():
    print("half a line", end="")
    raise RuntimeError("on purpose")
PY
run
expect "an exception" 1 '"status": "error"' '"error": "on purpose"' '"error_type": "RuntimeError"' 'main.py'

job exits <<'PY'
import sys
def main():
    sys.exit(3)
PY
run
expect "sys.exit(3)" 3 '"error_type": "SystemExit"'

job crashes <<'PY'
import ctypes
def main():
    ctypes.string_at(0)
PY
run
expect "a crash" 139 '"error_type": "Crashed"' 'SIGSEGV'

job memory <<'PY'
def main():
    return len(bytes(1) * (512 << 20))
PY
run --memory 128m --memory-swap 128m
expect "more memory than allowed" 137 '"error_type": "OutOfMemory"'

job no-main <<'PY'
x = 1
PY
run
expect "main.py without main()" 1 '"error_type": "NoMain"'

job bad-zip <<'PY'
def main(): pass
PY
head -c 50 "$JOB/code.zip" >"$JOB/cut" && mv "$JOB/cut" "$JOB/code.zip"
run
expect "a zip that is cut off" 1 '"error_type": "BadCode"'

job requirements <<'PY'
def main(): pass
PY
echo 'no-such-package-of-cumulus==1' >"$JOB/requirements.txt"
run -e PIP_NO_INDEX=1
expect "requirements that cannot be had" 1 '"error_type": "RequirementsFailed"' 'No matching distribution'

job unserializable <<'PY'
def main(): return {"a": [object()]}
PY
run
expect "a result JSON cannot hold" 1 '"error_type": "NotSerializable"' 'result.a[0]'

job large <<'PY'
def main(): return "x" * (10 << 20)
PY
run
expect "a result of 10 MB" 0 '"job_id": "test-123"'

job locked-down <<'PY'
import os, socket
def main():
    seen = []
    for path in ("/etc/x", "/opt/cumulus/x", "/job/x"):
        try:
            open(path, "w")
        except OSError as e:
            seen.append(e.errno)
    try:
        socket.create_connection(("192.0.2.1", 80), 2)
    except OSError as e:
        seen.append("no network")
    open("/work/x", "w").close()
    return [os.getuid(), os.getgid(), seen]
PY
run
expect "it can write to /work alone and reach nobody" 0 '[1000, 1000, [30, 30, 30, "no network"]]'

job opencl <<'PY'
import numpy as np, pyopencl as cl
def main():
    context = cl.create_some_context(interactive=False)
    queue = cl.CommandQueue(context)
    numbers = np.arange(1000, dtype=np.float32)
    buffer = cl.Buffer(context, cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR, hostbuf=numbers)
    source = "__kernel void twice(__global float *x) { x[get_global_id(0)] *= 2; }"
    cl.Program(context, source).build().twice(queue, (1000,), None, buffer)
    cl.enqueue_copy(queue, numbers, buffer)
    return {"sum": numbers.sum()}
PY
run
expect "an OpenCL kernel" 0 '"sum": 999000.0'

job stopped <<'PY'
import time
def main():
    print("ready", flush=True)
    time.sleep(600)
PY
( for _ in $(seq 100); do
      docker logs "$RUN" 2>/dev/null | grep -q ready && break
      sleep 0.1
  done
  docker stop --time 5 "$RUN" >/dev/null ) &
run
wait
expect "docker stop" 143 '"error_type": "Terminated"'

if [ "$FAILED" -eq 0 ]; then
    echo "PASS all of test-container.sh"
else
    echo "FAIL test-container.sh"
fi
exit "$FAILED"
