#!/usr/bin/env bash
# The chart in a kind cluster: cluster, images, installation, a ScimToken. For machines with a container engine, kind,
# kubectl and helm. Safe to run twice; `kind delete cluster --name scim-operator` removes it.
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in kind kubectl helm; do
    command -v "$tool" >/dev/null || { echo "make kind: $tool is not installed" >&2; exit 1; }
done

cluster=scim-operator
state="${XDG_STATE_HOME:-$HOME/.local/state}/scim-operator-kind"
umask 077
mkdir -p "$state"
export KUBECONFIG="$state/kubeconfig"

if kind get clusters 2>/dev/null | grep -qx "$cluster"; then
    kind export kubeconfig --name "$cluster" --kubeconfig "$KUBECONFIG"
else
    kind create cluster --config dev/kind/kind.yaml --kubeconfig "$KUBECONFIG" --wait 120s
fi

TAG=kind bash dev/images/build.sh
kind load docker-image --name "$cluster" scim-operator:kind scim-api:kind
helm upgrade --install scim charts/scim-operator --namespace scim-system --create-namespace \
    --values dev/kind/values.yaml --wait --timeout 180s
# What runs already was started from images of the same name.
kubectl rollout restart deployment --namespace scim-system
kubectl rollout status deployment --namespace scim-system --timeout=120s
kubectl apply -f examples/scimtoken.yaml
kubectl wait --for=condition=Ready sct/entra --timeout=90s

cat <<EOF

It runs in the cluster. kind brings no Ingress controller: go to the Service instead.

  export KUBECONFIG="$KUBECONFIG"
  kubectl get sct; kubectl get pods -n scim-system
  helm test scim -n scim-system --logs
  kubectl port-forward -n scim-system service/scim-scim-operator-api 8080:8080 &
  TOKEN=\$(kubectl get secret entra-scim-token -o jsonpath='{.data.token}' | base64 -d)
  curl -H "Authorization: Bearer \$TOKEN" http://127.0.0.1:8080/scim/v2/Users

Remove the cluster with: kind delete cluster --name $cluster
EOF
