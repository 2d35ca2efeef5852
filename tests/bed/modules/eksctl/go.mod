module notebook-hpc.test/bed/eksctl

go 1.26.0

require github.com/weaveworks/eksctl v0.230.0
