// Volcano's types as the newest published tag has them; `modules/volcano` takes a patched copy.
module notebook-hpc.test/bed/volcano-apis

go 1.26.0

require volcano.sh/apis v1.14.0
