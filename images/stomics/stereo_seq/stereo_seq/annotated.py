"""Makes AnnData of what was read.

Place in the path: the end of `gem` and `gef`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from anndata import AnnData
from anndata.utils import make_index_unique
from scipy import sparse

from stereo_seq.summing import Numbers, split_bin

NM_PER_UM = 1000
UNIT = "micrometre"


@dataclass(frozen=True)
class Source:
    """Where counts come from.

    Attributes:
        format: "GEM" or "GEF".
        resolution_nm: distance of two neighbouring DNBs.
        offset: x and y of the matrix's origin on the chip, in DNBs; `spatial` is relative to it.
        chip: serial number of the chip; empty where the file names none.
    """

    format: str
    resolution_nm: float
    offset: tuple[int, int] = (0, 0)
    chip: str = ""


def annotate_bins(
    place: Numbers, counts: sparse.csr_matrix, genes: pd.DataFrame, bin_size: int, source: Source
) -> AnnData:
    """Make AnnData of square bins.

    Args:
        place: number of each bin, as `join_bin` makes it.
        counts: bins × genes.
        genes: as `build_genes` makes it.
        bin_size: side of a bin in DNBs.
        source: where the counts come from.
    """
    x, y = (part * bin_size for part in split_bin(place))
    names = [f"{column}_{row}" for column, row in zip(x, y, strict=True)]
    bins = pd.DataFrame({"x": x, "y": y}, index=names)
    centres = np.stack([x, y], axis=1).astype(float) + (bin_size - 1) / 2
    return _annotate(counts, bins, genes, centres, {"bin_size": bin_size}, source)


def annotate_cells(
    cells: pd.DataFrame, counts: sparse.csr_matrix, genes: pd.DataFrame, source: Source
) -> AnnData:
    """Make AnnData of cells.

    Args:
        cells: a row for each, named by its number, with `x` and `y` of its centre in DNBs.
        counts: cells × genes.
        genes: as `build_genes` makes it.
        source: where the counts come from.
    """
    centres = cells[["x", "y"]].to_numpy(float)
    return _annotate(counts, cells, genes, centres, {"cells": True}, source)


def build_genes(ids: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
    """Build the table of genes: `gene_id` and `gene_name`, indexed by the name if there is one.

    Of genes that have one name, the second has `-1` at its end, and so on.
    """
    texts = [name or gene for gene, name in zip(ids, names, strict=True)]
    index = make_index_unique(pd.Index(texts, dtype=str))
    return pd.DataFrame({"gene_id": list(ids), "gene_name": list(names)}, index=index)


def _annotate(
    counts: sparse.csr_matrix,
    obs: pd.DataFrame,
    genes: pd.DataFrame,
    centres: npt.NDArray[np.float64],
    made_of: dict[str, object],
    source: Source,
) -> AnnData:
    made = AnnData(counts, obs=obs, var=genes)
    made.obsm["spatial"] = centres * source.resolution_nm / NM_PER_UM
    made.uns["stereo_seq"] = {
        **made_of,
        "format": source.format,
        "unit": UNIT,
        "resolution_nm": source.resolution_nm,
        "offset_dnb": np.array(source.offset),
        "chip": source.chip,
    }
    return made
