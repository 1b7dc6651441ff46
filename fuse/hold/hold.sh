#!/bin/bash
# Holds /dev/fuse while servers come and go, and is their dead-man's switch: what nobody serves is withdrawn.
#   bash hold.sh RUN LIMIT_MS START_MS COMMAND…
# RUN is a directory on tmpfs that only the owner enters. The command gets a phase as its last argument (`fresh`,
# `resume` after a crash, `next` beside a server that will yield), the device as descriptor 3, and 4 to write lines on:
# `PID ready`, `PID beat`, `PID yielded` (held.ts). It must exec, so that its pid is the server's. A server that is not
# ready within START_MS, or then not heard of for LIMIT_MS (a third more where the holder itself was late), is killed,
# and the next one resumes. Its exit code: 0 it ended in order, so does the holder; 1 no other could go on either: give
# up; anything else, or a signal, is a crash.
# SIGHUP: hand over to a new server. SIGTERM, SIGINT: end the server, then the holder. More than HOLD_MAX_CRASHES (5)
# crashes within 10 s, or two servers in a row that do not get ready: give up, which means that the holder alone ends the
# connection, takes from the kernel's page cache what RUN/withdraw lists, and unmounts what RUN/mounts lists; exit code 1.
set -u
RUN=$1 LIMIT=$2 START=$3
shift 3
MAX_CRASHES=${HOLD_MAX_CRASHES:-5} CRASH_SPAN=10000 # milliseconds, as all times here
END=2000                                            # for a server to end, or to yield
DEATH=250                                           # for a killed server to be gone
WITHDRAW=1000
# Who beats four times in LIMIT is not quiet. Signals wait as long, too: a line from a trap could find the pipe full.
QUIET=$((LIMIT / 3 < 500 ? LIMIT / 3 : 500))

# Who wakes so much later than it wanted to may have stood still with the whole machine.
STILL=250

# The server that serves. State: starting serving yielding dying dead ending. Due: when it is too late for what it owes.
PID='' STATE='' PHASE='' DUE=0
# Whether it got a moment more since it was last heard of.
SPARED=''
# The one that prepares beside it (state: preparing ready), and the one that has yielded and is about to exit.
NEXT='' NEXT_STATE='' NEXT_DUE=0 LEAVING='' LEAVING_DUE=0
CRASHES=() UNREADY=0 NOW=0
# How many signals came; which was not acted upon.
SIGNALS=0 TOLD_TO_END='' TOLD_TO_HAND_OVER=''

say() { echo "holder: $*" >&2; }

# Boot time: no fork, and it does not jump with the wall clock.
now() {
  local up
  read -r up _ </proc/uptime
  NOW=${up/./}0
}

seconds() { printf '%d.%02d s' $(($1 / 1000)) $(($1 % 1000 / 10)); }

# Starts a server in a phase; its pid is $!. Nobody closes 6 but its death, which a reader of that pipe reports: bash tells
# of a child's end only after `read` has returned.
start() {
  (
    exec 5<&-
    server=$BASHPID
    exec 6> >(
      trap : HUP INT TERM
      exec 3<&- 6>&- 7>&-
      read -r _
      echo "$server died" >&4
    )
    exec "${COMMAND[@]}" "$1"
  ) &
}

start_current() {
  start "$1"
  PID=$! PHASE=$1 STATE=starting DUE=$((NOW + START))
  echo "$PID" >"$RUN/pid"
  say "$PHASE: started $PID"
}

kill_next() {
  kill -KILL "$NEXT" 2>/dev/null
  disown "$NEXT" 2>/dev/null # or bash would say how it ended
  NEXT='' NEXT_STATE=''
}

kill_current() { # WHY
  say "$1, killing $PID"
  kill -KILL "$PID" 2>/dev/null
  STATE=dying DUE=$((NOW + DEATH))
}

# Whether the current server is dead but for threads that wait for an answer of the file system. They cannot be killed, and
# nobody hears of its death before the next server has answered them.
lingers() {
  local stat thread waits=''
  [[ $STATE != ending && -r /proc/$PID/stat ]] || return
  for thread in /proc/"$PID"/stat /proc/"$PID"/task/*/stat; do
    { read -r stat <"$thread"; } 2>/dev/null || continue
    case ${stat##*) } in
      [ZX]*) ;;
      D*) [[ $thread == */task/* ]] && waits=1 || return ;;
      *) return 1 ;;
    esac
  done
  [[ $waits ]]
}

# The current server is gone, whatever the cause.
succeed() {
  disown "$PID" 2>/dev/null
  if [[ $NEXT_STATE == ready ]]; then
    go
    return
  fi
  if [[ $NEXT ]]; then
    say "the handover to $NEXT is off"
    kill_next
  fi
  local time kept=()
  for time in "${CRASHES[@]}" "$NOW"; do ((time > NOW - CRASH_SPAN)) && kept+=("$time"); done
  CRASHES=("${kept[@]}")
  ((${#CRASHES[@]} <= MAX_CRASHES)) || give_up 1 "${#CRASHES[@]} crashes within $(seconds $CRASH_SPAN)"
  start_current resume
}

# The next one serves from now on.
go() {
  say "$NEXT takes over from $PID"
  PID=$NEXT STATE=serving DUE=$((NOW + LIMIT)) NEXT='' NEXT_STATE=''
  kill -USR2 "$PID" 2>/dev/null
  echo "$PID" >"$RUN/pid"
}

hand_over() {
  if [[ $NEXT || $STATE != serving ]]; then
    say "SIGHUP ignored: $([[ $NEXT ]] && echo "a handover is under way" || echo "$PID is $STATE")"
    return
  fi
  start next
  NEXT=$! NEXT_STATE=preparing NEXT_DUE=$((NOW + START))
  say "next: started $NEXT beside $PID"
}

end() {
  [[ $STATE != ending ]] || return
  [[ -z $NEXT ]] || kill_next
  [[ $STATE != dying ]] || give_up 1 "told to end while no server lived"
  say "told to end, ending $PID"
  kill -TERM "$PID" 2>/dev/null
  STATE=ending DUE=$((NOW + END))
}

died() { # PID
  local status signals=''
  case $1 in
    "$PID")
      while [[ $signals != "$SIGNALS" ]]; do # a signal ends wait, too
        signals=$SIGNALS
        wait "$1" 2>/dev/null
        status=$?
      done
      died_with $status
      ;;
    "$NEXT")
      say "the next server $NEXT died, $PID goes on"
      NEXT='' NEXT_STATE=''
      ;;
    "$LEAVING") LEAVING='' ;;
  esac
}

died_with() { # STATUS of the current one
  local state=$STATE
  STATE=dead
  case $state,$PHASE,$1 in
    *,0)
      say "$PID ended in order"
      leave 0
      ;;
    dying,* | yielding,*) succeed ;;
    # Under a hail of signals bash loses how a child ended, and says -1. Whatever is left is taken away.
    ending,*,-1) give_up 0 "$PID ended" ;;
    ending,*) give_up "$1" "$PID ended with $1" ;;
    *,1) give_up 1 "$PID cannot go on" ;;
    starting,fresh,*) give_up 1 "$PID died with $1 before it was ready" ;;
    *)
      say "$PID died with $1"
      succeed
      ;;
  esac
}

heard() { # PID WORD
  case $1,$2,$STATE,$NEXT_STATE in
    *,died,*) died "$1" ;;
    "$PID",ready,starting,*)
      say "$PID is ready"
      STATE=serving DUE=$((NOW + LIMIT)) UNREADY=0
      ;;
    "$PID",beat,serving,*) DUE=$((NOW + LIMIT)) SPARED='' ;;
    "$PID",yielded,yielding,*)
      LEAVING=$PID LEAVING_DUE=$((NOW + END))
      go
      ;;
    "$NEXT",ready,serving,preparing)
      say "$NEXT is ready, $PID is to yield"
      NEXT_STATE=ready
      kill -USR2 "$PID" 2>/dev/null
      STATE=yielding DUE=$((NOW + END))
      ;;
  esac
}

# Called when the holder itself was late: a machine that slept, or was moved, is no server that hangs. Once between two beats,
# or a holder that is always late would never act.
spare() {
  [[ $STATE == serving && ! $SPARED ]] || return
  ((DUE > NOW)) || DUE=$((NOW + LIMIT / 3)) SPARED=1
}

# Called when nothing was heard for a moment.
quiet() {
  if lingers; then
    say "$PID is dead, but for what the next has to answer"
    succeed
  elif ((DUE <= NOW)); then
    case $STATE in
      starting)
        ((++UNREADY))
        [[ $PHASE != fresh && $UNREADY -lt 2 ]] || give_up 1 "not ready within $(seconds "$START")"
        kill_current "not ready within $(seconds "$START")"
        ;;
      serving) kill_current "no beat for $(seconds "$LIMIT")" ;;
      yielding) kill_current "did not yield within $(seconds "$END")" ;;
      ending) give_up 1 "did not end within $(seconds "$END")" ;;
      dying)
        say "$PID does not die, going on without it"
        succeed
        ;;
    esac
  fi
  if [[ $NEXT_STATE == preparing ]] && ((NEXT_DUE <= NOW)); then
    say "the next server $NEXT was not ready within $(seconds "$START"), killing it; $PID goes on"
    kill_next
  fi
  if [[ $LEAVING ]] && ((LEAVING_DUE <= NOW)); then
    say "$LEAVING has yielded but does not exit, killing it"
    kill -KILL "$LEAVING" 2>/dev/null
    disown "$LEAVING" 2>/dev/null
    LEAVING=''
  fi
}

# With -f the connection ends: no request waits any more, so no notification can.
unmount() {
  local device path number place top
  while read -r device path; do
    top=''
    while read -r _ _ number _ place _; do
      [[ $place != "$path" ]] || top=$number # the later one lies above
    done </proc/self/mountinfo
    printf -v place %b "$path"
    if [[ $top == "$device" ]]; then umount -i -c -f -l -- "$place" || say "cannot unmount $place"
    elif [[ $top ]]; then say "$place: something else is mounted there, left alone"; fi
  done <"$RUN/mounts"
}

# NOTIFY_INVAL_INODE for each node: length 40, code 2, unique 0; node, offset 0, length 0 (all). Refused when not cached.
withdraw() {
  local node bytes count=0
  while read -r node; do
    printf -v bytes '\\x%02x' $((node & 255)) $((node >> 8 & 255)) $((node >> 16 & 255)) $((node >> 24 & 255)) \
      $((node >> 32 & 255)) $((node >> 40 & 255)) $((node >> 48 & 255)) 0
    bytes="\x28\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0$bytes\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    if [[ $bytes == *'\x0a'* ]]; then # bash writes line by line, and the message must be one write
      printf "$bytes" | dd bs=40 iflag=fullblock status=none >&3
    else
      printf "$bytes" >&3
    fi 2>/dev/null && ((++count))
  done <"$RUN/withdraw"
  say "withdrew $count nodes"
}

withdraw_in_time() {
  withdraw &
  local worker=$! until
  now
  until=$((NOW + WITHDRAW))
  while kill -0 $worker 2>/dev/null; do
    now
    if ((NOW >= until)); then
      kill -KILL $worker
      say "could not withdraw everything within $(seconds $WITHDRAW)"
      return
    fi
    read -r -t 0.01 -u 5 _ _
  done
}

give_up() { # STATUS WHY
  say "$2, giving up"
  [[ $STATE == dead ]] || kill -KILL "$PID" 2>/dev/null
  [[ -z $LEAVING ]] || kill -KILL "$LEAVING" 2>/dev/null
  [[ -z $NEXT ]] || kill_next
  [[ ! -e $RUN/mounts ]] || unmount
  [[ ! -e $RUN/withdraw ]] || withdraw_in_time
  leave "$1"
}

leave() { # STATUS
  [[ -z $NEXT ]] || kill_next
  rm -f "$RUN"/{pid,agreement.json,mounts,withdraw}
  exit "$1"
}

COMMAND=("$@")
# A server of an earlier holder may be about to end; it has the lock, too.
exec 7>"$RUN/lock"
flock -w 5 7 || {
  say "$RUN is in use"
  exit 1
}
rm -f "$RUN"/{beat,pid,agreement.json,mounts,withdraw}
exec 3<>/dev/fuse || exit 1
# Only 4 is handed on: when the holder is gone there is no reader, and the server's next beat fails.
mkfifo -m 600 "$RUN/beat" && exec 5<>"$RUN/beat" 4>"$RUN/beat" || exit 1
rm -f "$RUN/beat"
trap '((++SIGNALS)); TOLD_TO_HAND_OVER=1' HUP
trap '((++SIGNALS)); TOLD_TO_END=1' INT TERM
trap '' PIPE
now
start_current fresh

line=''
while :; do
  now
  left=$((DUE - NOW))
  [[ $NEXT_STATE == preparing ]] && ((NEXT_DUE - NOW < left)) && left=$((NEXT_DUE - NOW))
  [[ $LEAVING ]] && ((LEAVING_DUE - NOW < left)) && left=$((LEAVING_DUE - NOW))
  left=$((left > QUIET ? QUIET : left > 10 ? left : 10)) wake=$((NOW + left))
  printf -v left 0.%03d "$left"
  # The time may be over in the middle of a line. Nobody is late while a line of his may still be unread.
  if IFS= read -r -t "$left" -u 5 part; then
    line+=$part
    now
    heard "${line% *}" "${line#* }"
    line=''
  else
    line+=$part
    # After a stop of its own it may be late itself: what came meanwhile counts first.
    if ! read -t 0 -u 5; then
      now
      ((NOW - wake <= STILL)) || spare
      quiet
    fi
  fi
  if [[ $TOLD_TO_END ]]; then
    TOLD_TO_END=''
    end
  elif [[ $TOLD_TO_HAND_OVER ]]; then
    TOLD_TO_HAND_OVER=''
    hand_over
  fi
done
