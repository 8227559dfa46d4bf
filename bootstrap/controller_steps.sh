# Part of controller.sh: arguments and steps; see steps.sh for what _what, _done and _do are.
# shellcheck shell=bash

usage() {
  log "controller.sh: $1; see the head of bootstrap/controller.sh"
  exit 2
}

read_arguments() {
  ADVERTISE='' ARCHIVE='' WITH_AGENT='' UNINSTALL='' PURGE=''
  while [ $# -gt 0 ]; do
    case $1 in
      --advertise | --image-archive)
        [ $# -ge 2 ] || usage "$1 needs a value"
        if [ "$1" = --advertise ]; then ADVERTISE=$2; else ARCHIVE=$2; fi
        shift
        ;;
      --with-agent) WITH_AGENT=yes ;;
      --restart-engine) RESTART_ENGINE=yes ;;
      --dry-run) DRY_RUN=yes ;;
      --uninstall) UNINSTALL=yes ;;
      --purge) PURGE=yes ;;
      -h | --help)
        sed -n '2,/^set /s/^# \{0,1\}//p' bootstrap/controller.sh
        exit 0
        ;;
      *) usage "unknown argument '$1'" ;;
    esac
    shift
  done
  [ -z "$ADVERTISE" ] || [[ $ADVERTISE =~ ^[A-Za-z0-9.:_-]+$ ]] ||
    usage "--advertise '$ADVERTISE': expected a name or an address, without a port"
  [ -z "$ARCHIVE" ] || [ "${ARCHIVE#/}" != "$ARCHIVE" ] || ARCHIVE=$CALLER/$ARCHIVE
  [ -z "$ARCHIVE" ] || [ -r "$ARCHIVE" ] || usage "--image-archive $ARCHIVE cannot be read"
}

check_machine() {
  check_engine_can_run
  service_running cumulus-controller || check_disk
  check_clock
  [ "$(swarm_state)" != "active false" ] ||
    refuse "it is a worker of another Swarm; \`docker swarm leave\` takes it out of it"
  choose_address
}

# Without iproute2 yet: the kernel's own table tells the interface, and the shell its address.
choose_address() {
  local known
  known=$(sed -n 's/^advertise: *//p' "$CONFIG" 2>/dev/null || true)
  [ -z "$ADVERTISE" ] || [ -z "$known" ] || [ "$known" = "$ADVERTISE" ] ||
    die "this controller is known as $known, as $CONFIG says: change it there, or leave --advertise $ADVERTISE out"
  ADVERTISE=${ADVERTISE:-${known:-$(hostname -I 2>/dev/null | cut -d' ' -f1)}}
  [ -n "$ADVERTISE" ] || usage "this machine's address can't be told: give --advertise HOST"
}

packages_needs() {
  engine_needs
  [ -z "$WITH_AGENT" ] || need_chronos
  [ -n "$ARCHIVE" ] || have_image || need mmdebstrap mmdebstrap
}
packages_what() { packages_needs && echo "packages for Docker: ${NEEDED[*]:-none missing}"; }
packages_done() { packages_needs && dpkg_is_whole && [ "${#NEEDED[@]}" -eq 0 ]; }
packages_do() { install_engine_packages; }

chronos_what() { echo "Chronos, built from its source, taking a share of a device"; }
chronos_done() { [ -x "$VENV/bin/python" ] && chronos_works 2>/dev/null; }
chronos_do() { install_chronos; }

swarm_what() { echo "this engine is the manager of a Swarm, on port 2377 of $ADVERTISE"; }
swarm_done() { [ "$(swarm_state)" = "active true" ]; }
swarm_do() {
  local address
  address=$(getent ahosts "$ADVERTISE" | awk 'NR==1{print $1}')
  [ -n "$address" ] || die "the name $ADVERTISE has no address"
  did swarm "$address"
  quietly docker swarm init --advertise-addr "$address:2377" --listen-addr 0.0.0.0:2377
}

have_image() { docker image inspect cumulus-job:latest >/dev/null 2>&1; }
image_what() { echo "the job image cumulus-job:latest, $(if [ -n "$ARCHIVE" ]; then echo "from $ARCHIVE"; else echo "built here"; fi)"; }
image_done() { have_image; }
image_do() {
  if [ -n "$ARCHIVE" ]; then
    quietly docker load -i "$ARCHIVE"
  else
    PATH="$VENV/bin:$PATH" quietly ./image/build.sh
  fi
  have_image || die "$ARCHIVE does not hold cumulus-job:latest"
}

config_what() { echo "the configuration $CONFIG"; }
config_done() { [ -s "$CONFIG" ]; }
config_do() {
  local embedded=false
  [ -z "$WITH_AGENT" ] || embedded=true
  own_dir /etc/cumulus
  did link "$CONFIG"
  cat >"$CONFIG.new" <<YAML
# Written by controller.sh once; edit it and restart the controller. See controller/config.py.
advertise: $ADVERTISE
listen: {grpc: "0.0.0.0:50051", agents: "0.0.0.0:50052", http: "127.0.0.1:8080"}
tls: {auto: true}
platform: {type: swarm}
image: cumulus-job:latest
dataDir: $DATA
agent: {embedded: $embedded}
YAML
  mv "$CONFIG.new" "$CONFIG"
}

controller_command() { COMMAND=("$VENV/bin/cumulus-controller" --config "$CONFIG"); }
controller_of() { echo "$(source_hash) $(sha256sum <"$CONFIG")"; }
controller_what() {
  if has_systemd; then echo "the controller, as a unit of systemd"; else echo "the controller, kept running by $SUPERVISE"; fi
}
controller_done() {
  controller_command
  [ "$(cat "$(dirname "$STATE")/controller-of" 2>/dev/null)" = "$(controller_of 2>/dev/null)" ] &&
    service_is cumulus-controller "${COMMAND[@]}" && answers 127.0.0.1 50051 && [ -s "$DATA/admin.token" ]
}
controller_do() {
  controller_command
  link_program cumulusctl
  link_program cumulus-controller
  did service cumulus-controller
  install_service cumulus-controller "${COMMAND[@]}"
  if ! wait_until 60 test -s "$DATA/admin.token" || ! wait_until 60 answers 127.0.0.1 50051; then
    [ ! -e /var/log/cumulus/cumulus-controller.log ] || tail -n 10 /var/log/cumulus/cumulus-controller.log >&2
    die "the controller does not answer within a minute: see $(service_log cumulus-controller)"
  fi
  controller_of >"$(dirname "$STATE")/controller-of"
}

client_file() { echo "${XDG_CONFIG_HOME:-$HOME/.config}/cumulus/config.yaml"; }
client_what() { echo "cumulusctl talks to this controller (context local in $(client_file))"; }
client_done() {
  grep -qs '^  local:' "$(client_file)" && in_venv cumulusctl --context local get workers >/dev/null 2>&1
}
client_do() {
  [ -e "$(client_file)" ] || did link "$(client_file)"
  own_dir "${XDG_CONFIG_HOME:-$HOME/.config}"
  own_dir "${XDG_CONFIG_HOME:-$HOME/.config}/cumulus"
  quietly in_venv cumulusctl config set-context local --server "https://127.0.0.1:50051" \
    --token-file "$DATA/admin.token" --ca-file "$DATA/pki/ca.crt"
  wait_until 30 client_done || quietly in_venv cumulusctl --context local get workers
}

report() {
  local token
  STEP=
  if [ -n "$DRY_RUN" ]; then
    log "dry run: $CHANGED steps would be done; nothing was changed"
    return
  fi
  say_boot
  if [ "$CHANGED" -eq 0 ]; then log "nothing had to be changed"; fi
  token=$(in_venv cumulusctl --context local token create 2>/dev/null) ||
    quietly in_venv cumulusctl --context local token create
  log "the controller is ready; cumulusctl works on this machine"
  cat <<TEXT

On your own machine, with copies of $DATA/pki/ca.crt and $DATA/admin.token (keep that one secret, mode 600):
  cumulusctl config set-context cumulus --server https://$ADVERTISE:50051 --ca-file ca.crt --token-file admin.token

On each worker, from a checkout of this version, as root (the token is good for one worker, for an hour;
\`cumulusctl token create\` prints another):
  CUMULUS_JOIN_TOKEN=$token ./bootstrap/worker.sh --controller $ADVERTISE:50051
TEXT
}

uninstall() {
  [ -e "$STATE" ] || { log "nothing was installed here by controller.sh"; return 0; }
  STEP=uninstall
  choose_python
  if was_done service cumulus-controller; then
    log "stopping the controller"
    remove_service cumulus-controller
    forget service cumulus-controller
  fi
  if was_done swarm && [ "$(swarm_state)" = "active true" ]; then
    log "dissolving the Swarm"
    quietly docker swarm leave --force
  fi
  remove_traces
  keep_used_engine
  undo_engine
  remove_recorded
  remove_links_and_folders
  if [ -n "$PURGE" ]; then rm -rf --one-file-system "$DATA"; else log "keeping $DATA: records, keys, tokens (--purge removes it too)"; fi
  rm -rf "$(dirname "$STATE")"
  STEP=
  log "this machine is no controller any more; the log of it all stays: $LOG_FILE"
}
