#!/bin/sh
# worker.sh FILE OUT: measures FILE over and over, without hurry.
set -eu
while :; do
    wc "$1" >>"$2"
    sleep 1
done
