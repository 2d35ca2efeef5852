// Programs of ours for real nodes: the standard library is enough for them.
module notebook-hpc.test/bed/programs

go 1.24

tool (
	notebook-hpc.test/bed/programs/cmd/pause
	notebook-hpc.test/bed/programs/cmd/probe
)
