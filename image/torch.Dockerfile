# The job image with PyTorch below it, for jobs with `runtime: torch`, and for what is built on it.
# Built by `build.sh --variant torch`, which gives the build context: this file, and wheels/.
#
#   JOB_IMAGE  what it is built on
#   TORCH      as pip takes it
ARG JOB_IMAGE=cumulus-job:latest

# A stage of its own, so that the wheels are no part of the image.
FROM ${JOB_IMAGE} AS files
ARG TORCH=torch==2.13.0
USER 0:0
COPY wheels /wheels
RUN "${CUMULUS_PYTHON}" -m pip install --no-cache-dir --root-user-action=ignore --find-links /wheels \
        --target /opt/torch "${TORCH}"

FROM ${JOB_IMAGE}
COPY --from=files /opt/torch /opt/torch
# Behind what a job's own requirements bring, which may be newer.
ENV PYTHONPATH=/opt/torch
