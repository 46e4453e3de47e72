#!/bin/sh
# One-way TLS, two-way TLS and pre-shared keys with mosquitto's clients.
set -eu

host=$1 port=$2 mode=$3
shift 3
case $mode in
one-way) set -- --cafile "$1" ;;
two-way) set -- --cafile "$1" --cert "$2" --key "$3" ;;
psk) set -- --psk-identity "$1" --psk "$2" ;;
*)
    echo "HOST PORT one-way CA | two-way CA CERT KEY | psk IDENTITY HEXKEY" >&2
    exit 2
    ;;
esac

# Retained: the subscriber gets it even though it comes second.
mosquitto_pub -h "$host" -p "$port" "$@" -q 1 -r -t greetings/world -m 'hello from the shell'
mosquitto_sub -h "$host" -p "$port" "$@" -q 1 -t 'greetings/#' -C 1 -W 10 -v
