#!/bin/sh
# What a user writes who asks now and then: the first time after FIRST seconds, then every SECONDS.
#   poll.sh ENDPOINT KEY FILE SECONDS FIRST
sleep "$5"
while :; do
  if value=$(etcdctl --endpoints "$1" get --print-value-only "$2"); then
    if [ -n "$value" ]; then
      printf %s "$value" >"$3.new" && mv "$3.new" "$3"
    else
      rm -f "$3"
    fi
  fi
  sleep "$4"
done
