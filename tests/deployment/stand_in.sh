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
[ "$program $1 $2" != "$(cat denied 2> /dev/null)" ] || refuse AccessDeniedException
version() { cat version 2> /dev/null || echo "${VERSION:-1.35}"; }
case "$program $*" in "$(cat kill-at 2> /dev/null || echo nothing)"*) mode="kill" ;; esac
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
"kubectl version --output") echo "{\"serverVersion\": {\"gitVersion\": \"v$(version).2-eks-1\"}}" ;;
"kubectl version "*) echo "Client Version: v1.35.0" ;;
"helm version "*) echo v3.19.0 ;;
"aws sts get-caller-identity") echo "{\"Account\": \"$ACCOUNT\", \"Arn\": \"arn:aws:sts::$ACCOUNT:assumed-role/a/b\"}" ;;
"aws ec2 describe-regions") echo '{"Regions": [{"OptInStatus": "opt-in-not-required"}]}' ;;
"aws service-quotas list-service-quotas") echo "{\"Quotas\": [{\"QuotaCode\": \"L-1216C47A\", \"Value\": ${QUOTA:-512}.0}]}" ;;
"aws eks describe-cluster")
    [ -f cluster ] || refuse ResourceNotFoundException
    status=ACTIVE
    [ ! -f updating ] || status=UPDATING
    echo "{\"cluster\": {\"version\": \"$(version)\", \"status\": \"$status\", \"tags\": {\"notebook-hpc/cluster\": \"$(cat cluster)\"}}}" ;;
"aws cloudformation describe-stacks")
    [ -f "stack-$4" ] || refuse "Stack with id $4 does not exist"
    echo "{\"Stacks\": [{\"StackStatus\": \"$(cat "stack-$4")\"}]}" ;;
"aws cloudformation deploy") echo CREATE_COMPLETE > "stack-$6" ;;
"aws ec2 describe-route-tables") echo rtb-1,rtb-2 ;;
"aws cloudformation wait") [ "$3" != stack-update-complete ] || { echo UPDATE_COMPLETE > "stack-$5"; mv group-updating group-version; } ;;
"aws eks wait")
    # What EKS was at work on when its program was ended has come to its end.
    [ "$3" != cluster-active ] || [ ! -f updating ] || mv updating version
    [ "$4" != --cluster-name ] || [ ! -f sick ] || refuse "Waiter NodegroupActive failed" ;;
"aws eks list-updates") if [ -f updating ]; then echo '{"updateIds": ["u-0", "u-1"]}'; else echo '{"updateIds": []}'; fi ;;
"aws eks describe-update")
    status=InProgress kind=VersionUpdate
    [ "$6" = u-1 ] || status=Successful kind=LoggingUpdate
    echo "{\"update\": {\"id\": \"$6\", \"status\": \"$status\", \"type\": \"$kind\", \"params\": [{\"type\": \"Version\", \"value\": \"$(cat updating)\"}]}}" ;;
"aws eks describe-nodegroup")
    status=ACTIVE
    [ ! -f group-updating ] || status=UPDATING
    group=$(cat group-version 2> /dev/null || echo "${VERSION:-1.35}")
    echo "{\"nodegroup\": {\"version\": \"$group\", \"releaseVersion\": \"$group.2-1\", \"amiType\": \"AL2023_x86_64_STANDARD\", \"status\": \"$status\"}}" ;;
"aws eks list-insights") if [ -f insights ]; then cat insights; else echo '{"insights": []}'; fi ;;
"aws ssm get-parameters") if [ -f no-images ]; then echo "{\"InvalidParameters\": [\"$4\"]}"; else echo '{"InvalidParameters": []}'; fi ;;
"aws ssm get-parameter")
    newest=${4#/aws/service/eks/optimized-ami/}
    echo "{\"Parameter\": {\"Value\": \"${newest%%/*}.2-1\"}}" ;;
"eksctl upgrade cluster") if [ "$mode" = kill ]; then echo "$8" > updating; else echo "$8" > version; fi ;;
"eksctl upgrade nodegroup")
    if [ "$mode" = kill ]; then
        echo "${10}" > group-updating
        echo UPDATE_IN_PROGRESS > "stack-eksctl-$4-nodegroup-core"
    else
        echo "${10}" > group-version
    fi ;;
"eksctl update addon") version > addons-version ;;
"helm list "*) if [ -f releases ]; then cat releases; else echo '[]'; fi ;;
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
"kubectl get "*)
    if [ -f "list-$2${6:+-$6}" ]; then cat "list-$2${6:+-$6}"; else
        case "$*" in *--ignore-not-found*) : ;; *) echo '{"items": []}' ;; esac
    fi ;;
"kubectl delete nodepools.karpenter.sh") rm -f pools ;;
"kubectl delete namespace") [ "$3" != monitoring ] || rm -f namespace token ;;
"kubectl delete "*) : ;;
"kubectl run "*) cat ;;
"helm uninstall "*) rm -f "release-$2" ;;
"aws resourcegroupstaggingapi get-resources")
    listed=""
    case "$*" in *Key=notebook-hpc/cluster,*)
        for each in kept-*; do [ ! -f "$each" ] || listed="$listed${listed:+, }{\"ResourceARN\": \"$(cat "$each")\"}"; done ;;
    esac
    echo "{\"ResourceTagMappingList\": [$listed]}" ;;
"aws efs delete-file-system") [ -f kept-files ] || refuse FileSystemNotFound; rm kept-files ;;
"aws backup list-recovery-points-by-backup-vault") [ -f kept-vault ] || refuse ResourceNotFoundException; list RecoveryPoints points ;;
"aws backup delete-recovery-point") rm points ;;
"aws backup delete-backup-vault") [ ! -f points ] || refuse InvalidRequestException; rm kept-vault ;;
"aws s3api list-object-versions") [ -f kept-bucket ] || refuse NoSuchBucket; list Versions versions ;;
"aws s3api delete-objects") grep -q '"VersionId": "v1"' "${6#file://}" && rm versions ;;
"aws s3api delete-bucket") [ ! -f versions ] || refuse BucketNotEmpty; rm kept-bucket ;;
"aws cloudformation delete-stack") rm "stack-$4" ;;
"eksctl delete cluster") rm -f cluster accessentry addon podidentityassociation nodegroup class ;;
"aws route53 get-hosted-zone") echo '{"HostedZone": {"Name": "example.org."}}' ;;
"aws route53 list-resource-record-sets") list ResourceRecordSets records ;;
"aws elbv2 describe-load-balancers") echo '{"LoadBalancers": [{"DNSName": "K8s-1.elb.amazonaws.com", "CanonicalHostedZoneId": "Z2"}]}' ;;
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
