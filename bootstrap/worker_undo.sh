# Part of worker.sh: --uninstall. Each thing on record is undone and then struck off it, so that
# this too can be broken off and run again. What isn't on record is left alone.
# shellcheck shell=bash

uninstall() {
  [ -e "$STATE" ] || { log "nothing was installed here by worker.sh"; return 0; }
  # shellcheck disable=SC2034
  STEP=uninstall
  choose_python
  remove_agent
  leave_swarm
  remove_traces
  keep_used_engine
  undo_engine
  remove_recorded
  remove_links_and_folders
  rm -rf "$DATA"
  rmdir --ignore-fail-on-non-empty /var/lib/cumulus 2>/dev/null || true
  STEP=
  log "this machine is no worker any more; the log of it all stays: $LOG_FILE"
}

remove_agent() {
  was_done service cumulus-agent || return 0
  log "stopping the agent"
  remove_service cumulus-agent
  forget service cumulus-agent
}

leave_swarm() {
  local manager
  manager=$(recorded swarm)
  [ -n "$manager" ] || return 0
  if [[ $(swarm_state) == active* ]]; then
    log "leaving the Swarm of $manager (on the controller, \`docker node rm\` forgets this node)"
    quietly docker swarm leave --force
  fi
  forget swarm "$manager"
}
