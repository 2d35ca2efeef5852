#!/bin/sh
# Stands in for aws, eksctl, helm, kubectl and make, by the name it is called. Written by hand: it keeps
# what was made as files of WORLD, notes each call there, and at call number `fails` it refuses, or
# kills the driver that called it after half of the work.
cd "$WORLD" || exit 9
program=${0##*/}
mode=""
echo "$program $*" >> calls
refuse() { [ "$mode" != kill ] || kill -KILL "$PPID"; echo "An error occurred ($1) when calling: no" >&2; exit 254; }
at=$(wc -l < calls)
if [ -f fails ] && [ "$at" -eq "$(cat fails)" ]; then
    mode=$(cat mode)
    [ "$mode" = kill ] || refuse ThrottlingException
fi
list() { if [ -f "$2" ]; then printf '{"%s": %s}\n' "$1" "$(cat "$2")"; else echo "{\"$1\": []}"; fi; }
part() {
    case $1 in
    accessentry) echo "[\"arn:aws:iam::$ACCOUNT:role/KarpenterNodeRole-$CLUSTER\"]" > accessentry ;;
    addon) echo '["vpc-cni", "kube-proxy", "coredns", "metrics-server", "eks-pod-identity-agent", "aws-ebs-csi-driver", "aws-efs-csi-driver"]' > addon ;;
    podidentityassociation) echo '[{"namespace": "kube-system", "serviceAccount": "karpenter"}, {"namespace": "kube-system", "serviceAccount": "aws-load-balancer-controller"}]' > podidentityassociation ;;
    nodegroup) echo '["core"]' > nodegroup ;;
    esac
}
case "$program $1 $2" in
"aws --version "*) echo "aws-cli/2.30.0 Python/3.13" ;;
"eksctl version "*) echo 0.230.0 ;;
"kubectl version "*) echo "Client Version: v1.35.0" ;;
"helm version "*) echo v3.19.0 ;;
"aws sts get-caller-identity") echo "{\"Account\": \"$ACCOUNT\", \"Arn\": \"arn:aws:sts::$ACCOUNT:assumed-role/a/b\"}" ;;
"aws ec2 describe-regions") echo '{"Regions": [{"OptInStatus": "opt-in-not-required"}]}' ;;
"aws service-quotas list-service-quotas") echo "{\"Quotas\": [{\"QuotaCode\": \"L-1216C47A\", \"Value\": ${QUOTA:-512}.0}]}" ;;
"aws eks describe-cluster")
    [ -f cluster ] || refuse ResourceNotFoundException
    echo "{\"cluster\": {\"version\": \"${VERSION:-1.35}\", \"status\": \"ACTIVE\", \"tags\": {\"notebook-hpc/cluster\": \"$(cat cluster)\"}}}" ;;
"aws cloudformation describe-stacks")
    [ -f "stack-$4" ] || refuse "Stack with id $4 does not exist"
    echo "{\"Stacks\": [{\"StackStatus\": \"$(cat "stack-$4")\"}]}" ;;
"aws cloudformation deploy") echo CREATE_COMPLETE > "stack-$6" ;;
"aws ec2 describe-route-tables") echo rtb-1,rtb-2 ;;
"aws cloudformation wait") : ;;
"aws eks wait") [ "$4" != --cluster-name ] || [ ! -f sick ] || refuse "Waiter NodegroupActive failed" ;;
"aws iam get-role") [ -f role ] || refuse NoSuchEntity ;;
"aws iam create-service-linked-role") [ ! -f role ] || refuse InvalidInput; touch role ;;
"aws eks list-access-entries") list accessEntries accessentry ;;
"aws eks list-addons") list addons addon ;;
"aws eks list-pod-identity-associations") list associations podidentityassociation ;;
"aws eks list-nodegroups") list nodegroups nodegroup ;;
"aws eks update-kubeconfig") touch access ;;
"eksctl create cluster")
    [ ! -f cluster ] || refuse AlreadyExistsException
    echo "$CLUSTER" > cluster
    part accessentry
    part addon
    [ "$mode" = kill ] || { part podidentityassociation; part nodegroup; } ;;
"eksctl create "*) [ ! -f "$2" ] || refuse AlreadyExistsException; part "$2" ;;
"helm upgrade --install") touch "release-$3" ;;
"kubectl apply "*)
    case "$*" in
    *node-pools*) touch pools ;;
    *60-observe/objects*) touch namespace ;;
    *"-f -") grep -q "\"token\": \"c2NyYXBlcw==\"" && touch token ;;
    *) touch class ;;
    esac ;;
"kubectl get customresourcedefinition") echo "{\"metadata\": {\"name\": \"$3\"}}" ;;
"kubectl get namespace") [ "$3" != monitoring ] || [ ! -f namespace ] || echo '{"kind": "Namespace"}' ;;
"kubectl get secret") [ "$3" != hub ] || [ -f untold ] || echo '{"data": {"hub.services.prometheus.apiToken": "c2NyYXBlcw=="}}' ;;
"kubectl get "*) case "$*" in *--ignore-not-found*) : ;; *) echo '{"items": []}' ;; esac ;;
"kubectl delete nodepools.karpenter.sh") rm -f pools ;;
"kubectl delete namespace") [ "$3" != monitoring ] || rm -f namespace token ;;
"kubectl delete "*) : ;;
"helm uninstall "*) rm -f "release-$2" ;;
"aws resourcegroupstaggingapi get-resources") echo '{"ResourceTagMappingList": []}' ;;
"aws cloudformation delete-stack") rm "stack-$4" ;;
"eksctl delete cluster") rm -f cluster accessentry addon podidentityassociation nodegroup class ;;
"aws ecr get-login-password") echo pass-word ;;
"helm registry login") [ "$(cat)" = pass-word ] || refuse Unauthorized; touch "login-$6" ;;
"make images-lacking "*) [ -f pushed ] || printf 'hub\nnotebook\n' ;;
"make images "*) case "$*" in *"IMAGE=hub notebook") touch built ;; esac ;;
"make push "*) [ -f built ] || refuse NotBuilt; case "$*" in *"IMAGE=hub notebook") touch pushed ;; esac ;;
"make mirror "*) touch copied ;;
"kubectl wait "*) [ -f pools ] || refuse NoPools ;;
*) echo "nobody wrote a stand-in for: $program $*" >&2; exit 9 ;;
esac
result=$?
[ "$mode" != kill ] || kill -KILL "$PPID"
exit $result
