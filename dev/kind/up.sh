#!/usr/bin/env bash
# A kind cluster that knows ScimTokens, and how to run the API and the operator against it. For machines with a
# container engine, kind and kubectl. Safe to run twice; `kind delete cluster --name scim-operator` removes it.
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in kind kubectl; do
    command -v "$tool" >/dev/null || { echo "make kind: $tool is not installed" >&2; exit 1; }
done

cluster=scim-operator
state="${XDG_STATE_HOME:-$HOME/.local/state}/scim-operator-kind"
umask 077
mkdir -p "$state/admin-keys"
export KUBECONFIG="$state/kubeconfig"

if kind get clusters 2>/dev/null | grep -qx "$cluster"; then
    kind export kubeconfig --name "$cluster" --kubeconfig "$KUBECONFIG"
else
    kind create cluster --config dev/kind/kind.yaml --kubeconfig "$KUBECONFIG" --wait 120s
fi
kubectl apply --server-side -f crds/scimtoken.yaml
# A new CRD has no conditions for a moment, on which `kubectl wait` gives up: try again.
for _ in 1 2 3 4 5; do
  kubectl wait --for=condition=Established crd/scimtokens.scim-operator.io --timeout=60s && break
  sleep 1
done
kubectl apply -f dev/manifests/rbac.yaml

# The operator runs as its own ServiceAccount, not as the admin that kind made.
operator="$state/operator.kubeconfig"
kubectl config view --raw --minify --flatten >"$operator"
kubectl --kubeconfig "$operator" config set-credentials scim-operator \
    --token="$(kubectl create token scim-operator -n scim-system --duration=24h)" >/dev/null
kubectl --kubeconfig "$operator" config set-context --current --user=scim-operator >/dev/null
kubectl --kubeconfig "$operator" config delete-user "kind-$cluster" >/dev/null

cat <<EOF

The cluster is ready. Two terminals run the product, here in the checkout:

  SCIM_API_DATABASE_URL="sqlite:///$state/scim.db" uv run scim-api serve \\
    --internal-port 8081 --admin-keys-dir "$state/admin-keys"

  KUBECONFIG="$operator" \\
  SCIM_OPERATOR_ENDPOINT_URL=http://127.0.0.1:8080/scim/v2 \\
  SCIM_OPERATOR_ADMIN_URL=http://127.0.0.1:8081 uv run scim-operator run

In a third one, give the API the operator's public key, and apply a ScimToken:

  export KUBECONFIG="$KUBECONFIG"
  kubectl get configmap scim-operator-admin-keys -n scim-system -o json | python3 dev/kind/keys.py "$state/admin-keys"
  kubectl apply -f examples/scimtoken.yaml
  kubectl wait --for=condition=Ready sct/entra --timeout=60s

Remove the cluster with: kind delete cluster --name $cluster
EOF
