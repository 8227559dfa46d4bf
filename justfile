# Shorthands for the scripts; nothing here needs `just`.

# style, types, layers
check:
    ./bootstrap/check.sh

# everything, or what the arguments for pytest say
test *args:
    ./bootstrap/test.sh {{args}}

# the slow tests
soak *args:
    ./bootstrap/test.sh -m soak {{args}}

# what only a machine with an NVIDIA GPU can show
gpu *args:
    .venv/bin/python -m pytest tests/gpu -m gpu {{args}}

# Cumulus beside bare Swarm, TinyDB and sqlite; writes tests/bench/RESULTS.md
bench *args:
    .venv/bin/python -m tests.bench {{args}}

# generate api/gen from api/proto
proto:
    PYTHON=.venv/bin/python ./api/generate.sh

# one job on this machine, from nothing to its result
demo *args:
    ./bootstrap/demo.sh {{args}}

# pin the dependencies anew
lock *args:
    ./bootstrap/lock.sh {{args}}
