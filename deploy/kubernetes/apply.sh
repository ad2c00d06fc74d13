#!/bin/sh
# Rolls a version out: deploy/kubernetes/apply.sh production
# The migration job goes first; pods of the new version wait for it in their init containers, and the old ones stay until
# the new ones are ready. When the job fails this script shows its last words and leaves with 1, and nothing of the old
# version was touched.
set -eu
cd "$(dirname "$0")"
overlay=overlays/$1
kubectl -n payment-fleet delete job migrate --ignore-not-found
kubectl apply -k "$overlay"

# Of two conditions kubectl can wait for one alone: the one that fails is asked for between short waits for the other.
waited=0
until kubectl -n payment-fleet wait --for=condition=complete --timeout=10s job/migrate; do
    failed=$(kubectl -n payment-fleet get job migrate -o 'jsonpath={.status.conditions[?(@.type=="Failed")].status}')
    waited=$((waited + 10))
    if [ "$failed" = True ] || [ "$waited" -ge 1800 ]; then
        echo "the migration failed or takes longer than half an hour; the old version goes on as it was" >&2
        kubectl -n payment-fleet logs job/migrate --tail=50 >&2
        exit 1
    fi
done

for deployment in $(kubectl -n payment-fleet get deployment -l app.kubernetes.io/part-of=payment-fleet -o name); do
    kubectl -n payment-fleet rollout status "$deployment" --timeout=15m
done
