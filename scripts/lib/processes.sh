# Background programs that end with the script that started them, however it
# ends. Sourced after say.sh.
#
#   processes_begin DIR      logs go to DIR; call once
#   start_process NAME CMD…  starts CMD, a program and not a function, with its
#                            output in DIR/NAME.log; sets PID
#   processes_end            stops what was started, newest first
#
# A guard, a shell that ignores the signals of a terminal, holds the read end of
# a pipe whose write end only this script has. When the script is gone, even by
# kill -9, the guard reads its end and kills what is left.

PROCESSES=''

processes_begin() {
  PROCESS_LOGS=$1
  mkdir -p "$PROCESS_LOGS"
  local pipe
  pipe=$(mktemp -u "$PROCESS_LOGS/guard.XXXXXX")
  mkfifo -m 600 "$pipe"
  # stdin only: stdout and stderr are closed, so that nobody waits for the guard.
  (
    trap '' INT TERM HUP
    pids=''
    while read -r word pid; do
      case $word in
        started) pids="$pids $pid" ;;
        ended) pids=" ${pids} "; pids=${pids/ $pid / } ;;
        dismissed) exit 0 ;;
      esac
    done
    for pid in $pids; do kill -TERM "$pid" 2>/dev/null; done
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
      left=''
      for pid in $pids; do kill -0 "$pid" 2>/dev/null && left="$left $pid"; done
      [ -z "$left" ] && exit 0
      sleep 0.25
    done
    for pid in $left; do kill -KILL "$pid" 2>/dev/null; done
  ) <"$pipe" >/dev/null 2>&1 &
  GUARD=$!
  exec 9>"$pipe"
  rm -f "$pipe"
}

start_process() {
  local name=$1
  shift
  # Without fd 9: only this script keeps the guard waiting.
  "$@" </dev/null >"$PROCESS_LOGS/$name.log" 2>&1 9>&- &
  PID=$!
  PROCESSES="$PID $PROCESSES"
  printf 'started %s\n' "$PID" >&9
}

# is_running PID
is_running() { kill -0 "$1" 2>/dev/null; }

# stop_process PID: asks, waits up to 5 s, then insists.
stop_process() {
  local pid=$1 tries=0
  kill -TERM "$pid" 2>/dev/null || true
  while is_running "$pid" && [ $tries -lt 50 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  printf 'ended %s\n' "$pid" >&9
}

processes_end() {
  local pid
  for pid in $PROCESSES; do stop_process "$pid"; done
  PROCESSES=''
  printf 'dismissed\n' >&9
  exec 9>&-
  wait "$GUARD" 2>/dev/null || true
}

# wait_for_line NAME PID PATTERN SECONDS: prints the first line of a log that
# matches, or fails when the process ends or the time is over.
wait_for_line() {
  local deadline=$((SECONDS + $4)) line
  while :; do
    line=$(grep -m1 -e "$3" "$PROCESS_LOGS/$1.log" 2>/dev/null || true)
    if [ -n "$line" ]; then
      printf '%s\n' "$line"
      return 0
    fi
    is_running "$2" || return 1
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.1
  done
}

# show_log NAME: the end of a log, for a person who has to find out.
show_log() {
  detail "the end of $PROCESS_LOGS/$1.log:"
  tail -n 15 "$PROCESS_LOGS/$1.log" | sed 's/^/    /' >&2
}
