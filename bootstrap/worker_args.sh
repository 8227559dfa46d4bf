# Part of worker.sh: its arguments. Sets CONTROLLER TOKEN NAME LABELS UNTIL ARCHIVE BUILD DRY_RUN
# UNINSTALL.
# shellcheck shell=bash disable=SC2034

usage() {
  log "worker.sh: $1; see the head of bootstrap/worker.sh"
  exit 2
}

# A token in argv is seen by everyone on the machine: it moves to the environment at once, which
# only root can read, and this shell starts anew without it.
hide_token() {
  local rest=() token=
  while [ $# -gt 0 ]; do
    case $1 in
      --token)
        [ $# -ge 2 ] || usage "--token needs a value"
        token=$2
        shift 2
        ;;
      --token=*)
        token=${1#--token=}
        shift
        ;;
      *)
        rest+=("$1")
        shift
        ;;
    esac
  done
  [ -n "$token" ] || return 0
  cd "$CALLER" || exit
  CUMULUS_JOIN_TOKEN=$token exec "$SCRIPT" "${rest[@]}"
}

read_arguments() {
  SCRIPT=$PWD/bootstrap/worker.sh
  hide_token "$@"
  TOKEN=${CUMULUS_JOIN_TOKEN:-}
  unset CUMULUS_JOIN_TOKEN
  CONTROLLER='' NAME='' LABELS=() UNTIL='' CACHE='' ARCHIVE='' BUILD='' UNINSTALL=''
  while [ $# -gt 0 ]; do
    case $1 in
      --controller | --token-file | --name | --label | --available-until | --dataset-cache | \
        --image-archive)
        [ $# -ge 2 ] || usage "$1 needs a value"
        option "$1" "$2"
        shift
        ;;
      --build-image) BUILD=yes ;;
      --restart-engine) RESTART_ENGINE=yes ;;
      --dry-run) DRY_RUN=yes ;;
      --uninstall) UNINSTALL=yes ;;
      -h | --help)
        sed -n '2,/^set /s/^# \{0,1\}//p' "$SCRIPT"
        exit 0
        ;;
      *) usage "unknown argument '$1'" ;;
    esac
    shift
  done
  [ -n "$UNINSTALL" ] || check_arguments
}

option() {
  case $1 in
    --controller) CONTROLLER=$2 ;;
    --token-file)
      [ -r "$(from_caller "$2")" ] || usage "--token-file $2 cannot be read"
      TOKEN=$(tr -d '[:space:]' <"$(from_caller "$2")")
      ;;
    --name) NAME=$2 ;;
    --label) LABELS+=("$2") ;;
    --available-until) UNTIL=$2 ;;
    --dataset-cache) CACHE=$2 ;;
    --image-archive) ARCHIVE=$(from_caller "$2") ;;
  esac
}

from_caller() { if [ "${1#/}" = "$1" ]; then echo "$CALLER/$1"; else echo "$1"; fi; }

check_arguments() {
  local label
  [[ $CONTROLLER =~ ^(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$ ]] ||
    usage "--controller '$CONTROLLER': expected HOST:PORT, such as controller.example:50051"
  [ -z "$NAME" ] || [[ $NAME =~ ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$ ]] ||
    usage "--name '$NAME': expected lower-case letters, digits and inner dashes, at most 63"
  for label in "${LABELS[@]}"; do
    [[ $label =~ ^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?=[A-Za-z0-9._:-]*$ ]] ||
      usage "--label '$label': expected KEY=VALUE of letters, digits and . _ / -"
  done
  if [ -n "$UNTIL" ]; then
    UNTIL=$(date -u -d "$UNTIL" +%FT%TZ 2>/dev/null) ||
      usage "--available-until '$UNTIL': expected a time, such as '2026-12-01 08:00 UTC'"
    [ "$(date -d "$UNTIL" +%s)" -gt "$(date +%s)" ] || usage "--available-until $UNTIL is past"
    LABELS+=("available-until=$UNTIL")
  fi
  [ -z "$CACHE" ] || [[ $CACHE =~ ^[0-9]+(\.[0-9]+)?([KMGT]i?|k)?$ ]] ||
    usage "--dataset-cache '$CACHE': expected a size, such as 200Gi"
  [ -z "$ARCHIVE" ] || [ -r "$ARCHIVE" ] || usage "--image-archive $ARCHIVE cannot be read"
}
