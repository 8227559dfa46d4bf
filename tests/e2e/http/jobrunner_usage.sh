#!/usr/bin/env bash
# The calls of the Slurm job runner's README, section "API usage", that its acceptance tests leave out.
# Run in an empty folder; BASE, TOK from outside.

echo "test data" > data.txt
tar -czf data.tar.gz data.txt
sha=$(sha256sum data.tar.gz | awk '{print $1}')

curl -H "Authorization: Bearer $TOK" \
  -F "file=@data.tar.gz" \
  -F "sha256=$sha" \
  $BASE/datasets/upload

resp=$(curl -s -H "Authorization: Bearer $TOK" \
  -F "dataset_sha=$sha" \
  -F "command_key=echo_params" \
  -F "gpus=1" \
  -F "cpus=2" \
  -F "mem_gb=1" \
  -F "time_limit=00:10:00" \
  $BASE/jobs)
job_id=$(echo "$resp" | jq .job_id)

until curl -s -H "Authorization: Bearer $TOK" $BASE/jobs/$job_id | jq -e .done; do sleep 1; done

curl -H "Authorization: Bearer $TOK" \
  "$BASE/outputs?experiment_id=job-$job_id"

curl -L -H "Authorization: Bearer $TOK" \
  "$BASE/outputs/download_by_job?job_id=$job_id&rel_path=params.json" \
  -o params.json
