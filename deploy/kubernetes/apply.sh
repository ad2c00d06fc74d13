#!/bin/sh
# Rolls a version out: deploy/kubernetes/apply.sh production
# The migration job goes first; pods of the new version wait for it in their init containers, and the old ones stay until
# the new ones are ready. When the job fails this script says so and nothing of the old version was touched.
set -eu
cd "$(dirname "$0")"
overlay=overlays/$1
kubectl -n payment-fleet delete job migrate --ignore-not-found
kubectl apply -k "$overlay"
kubectl -n payment-fleet wait --for=condition=complete --timeout=30m job/migrate
for deployment in $(kubectl -n payment-fleet get deployment -l app.kubernetes.io/part-of=payment-fleet -o name); do
    kubectl -n payment-fleet rollout status "$deployment" --timeout=15m
done
