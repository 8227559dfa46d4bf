#!/usr/bin/env bash
# The acceptance tests of the Slurm job runner as they are documented, but for BASE and TOK, which
# come from outside. Run in an empty folder.

# --- 1. Health & auth

# Health check (no auth required)
curl $BASE/health

# Auth required for other endpoints
curl -i $BASE/datasets/exists/abc  # Returns 401

# --- 2. Dataset upload with auto-extraction

# Create test archive
mkdir -p data
echo "test content" > data/file.txt
tar -cJf data.tar.xz data/

# Upload and verify
sha=$(sha256sum data.tar.xz | awk '{print $1}')

curl -H "Authorization: Bearer $TOK" \
  -F "file=@data.tar.xz" \
  -F "sha256=$sha" \
  $BASE/datasets/upload

curl -H "Authorization: Bearer $TOK" \
  $BASE/datasets/exists/$sha | grep '"exists": true'

# --- 3. Job submission (non-root)

# Submit job
resp=$(curl -s -H "Authorization: Bearer $TOK" \
  -F dataset_sha=$sha \
  -F command_key=pytorch_example \
  -F gpus=1 -F cpus=2 -F mem_gb=8 \
  -F time_limit=00:10:00 \
  $BASE/jobs)

jid=$(echo $resp | sed -n 's/.*"job_id":[ ]*\([0-9]*\).*/\1/p')

# Poll until complete
while true; do
  status=$(curl -s -H "Authorization: Bearer $TOK" $BASE/jobs/$jid | grep -o '"status":"[^"]*"' | cut -d'"' -f4)
  echo "Status: $status"
  [[ "$status" == "COMPLETED" ]] && break
  sleep 2
done

# Check logs
curl -H "Authorization: Bearer $TOK" $BASE/jobs/$jid/log

# --- 4. Results & indexing

# Get result (triggers auto-indexing)
curl -H "Authorization: Bearer $TOK" $BASE/jobs/$jid/result

# List outputs
curl -H "Authorization: Bearer $TOK" $BASE/outputs/by_job/$jid

# Download weights
exp=$(curl -s -H "Authorization: Bearer $TOK" $BASE/outputs/by_job/$jid | jq -r '.outputs[0].experiment_id')
curl -L -H "Authorization: Bearer $TOK" \
  "$BASE/outputs/download?experiment_id=$exp&output_id=weights" \
  -o model.pth
