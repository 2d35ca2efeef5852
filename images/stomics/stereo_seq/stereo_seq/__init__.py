"""Reads Stereo-seq expression matrices into AnnData: `read_gem` and `read_gef`.

Place in the path: installed into image `stomics`, beside Scanpy and Squidpy, which take it from
there. The formats are those of the SAW pipeline's manual ("Expression matrix format", SAW 8.1,
stomics.tech/service/saw_8_1/docs/gao-ji-she-zhi/expression-matrix-format.html), with the fields as
STOmics/geftools writes them (`bgef_writer.cpp`, `cgef_writer.cpp`, `geftogem.cpp`).

Both return observations × genes: counts as a sparse matrix in `X`, places in micrometres in
`obsm["spatial"]`, and in `uns["stereo_seq"]` what they are made of.
"""

from stereo_seq.errors import StereoSeqError
from stereo_seq.gef import read_gef
from stereo_seq.gem import read_gem

__all__ = ["StereoSeqError", "read_gef", "read_gem"]
