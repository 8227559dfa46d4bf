#!/usr/bin/env bash
# The calls of the distributed workload runner's README as they are documented, but for BASE, which
# comes from outside, and the job's id, which is the one that was given. Each answer in a line.

# Submit a job
answer=$(curl -X POST "$BASE/jobs" \
  -H "Content-Type: application/json" \
  -d '{
    "docker_image": "alpine:latest",
    "command": ["echo", "Hello World!"],
    "cpu_cores": 1,
    "memory_gb": 1,
    "gpu_type": null
  }')
echo "$answer"
job_id=$(echo "$answer" | jq -r .job_id)

until curl -s "$BASE/jobs/$job_id" | jq -e '.status == "SUCCEEDED" or .status == "FAILED"' >&2; do
  sleep 1
done

# Check job status
curl "$BASE/jobs/$job_id"
echo
# List all jobs
curl "$BASE/jobs"
echo
# View executors
curl "$BASE/executors"
echo
# Get system stats
curl "$BASE/stats"
echo
# Manual job scheduling
curl -X POST "$BASE/schedule"
echo
curl "$BASE/health"
echo
