#!/bin/sh
# What a user writes who has etcd: each key below PREFIX is a file in DIRECTORY, and goes when the key is deleted.
#   watch.sh ENDPOINT PREFIX DIRECTORY
# etcdctl prints three lines an event: its kind, the key, the value. Values here have no line ends.
etcdctl --endpoints "$1" watch --prefix "$2" | while read -r kind; do
  read -r key
  read -r value
  file=$3/${key#"$2"}
  case $kind in
    PUT) printf %s "$value" >"$file.new" && mv "$file.new" "$file" ;;
    DELETE) rm -f "$file" ;;
  esac
done
