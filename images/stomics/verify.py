"""Verifies image `stomics` from inside: the tools do real work, on cells that are drawn here.

Place in the path: run by `images/_tool/build.py` in the built image. Nobody imports it.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from images._inside.checks import Wrong, import_all, run_checks
from images._inside.session_checks import OF_A_SESSION

LIBRARIES = ("anndata", "scanpy", "squidpy", "spatialdata", "spatialdata_io", "h5py", "zarr")
CELLS, GENES, ALIKE = 200, 50, 0.9


def check_libraries() -> str:
    """What the image promises can be imported."""
    # Of packages that these import, about what will change some day.
    warnings.simplefilter("ignore")
    import_all((*LIBRARIES, "leidenalg", "igraph", "stereo_seq"))
    return f"can be imported: {', '.join(LIBRARIES)}, leidenalg, igraph, stereo_seq"


def check_clusters() -> str:
    """Two kinds of cells are told apart by PCA, neighbours and leiden."""
    import scanpy  # noqa: PLC0415

    cells = draw_cells()
    scanpy.pp.normalize_total(cells)
    scanpy.pp.log1p(cells)
    scanpy.pp.pca(cells, n_comps=10)
    scanpy.pp.neighbors(cells)
    scanpy.tl.leiden(cells, resolution=0.1, flavor="igraph", n_iterations=2)
    found = cells.obs.groupby("leiden", observed=True)["kind"].value_counts().unstack()
    if found.max(axis=1).sum() < ALIKE * CELLS or found.max(axis=0).sum() < ALIKE * CELLS:
        raise Wrong(f"two kinds of cells are found as {found.to_dict()}")
    return "Scanpy finds two kinds of cells: PCA, neighbours, leiden"


def check_neighbourhoods() -> str:
    """Cells that lie in two halves have neighbours of their own kind."""
    import squidpy  # noqa: PLC0415

    cells = draw_cells()
    squidpy.gr.spatial_neighbors(cells, coord_type="generic", n_neighs=6)
    squidpy.gr.nhood_enrichment(cells, "kind", seed=1, n_perms=50, show_progress_bar=False)
    (same, other), _ = cells.uns["kind_nhood_enrichment"]["zscore"]
    if not same > 0 > other:
        raise Wrong(f"neighbourhoods are enriched by {same} and {other}")
    return "Squidpy finds who are neighbours"


def check_files() -> str:
    """Cells are the same after a way through .h5ad, .zarr and SpatialData."""
    import anndata  # noqa: PLC0415
    import spatialdata  # noqa: PLC0415

    cells = draw_cells()
    with tempfile.TemporaryDirectory() as folder:
        h5ad, zarr, whole = (Path(folder) / name for name in ("a.h5ad", "a.zarr", "b.zarr"))
        cells.write_h5ad(h5ad)
        cells.write_zarr(zarr)
        spatialdata.SpatialData(tables={"cells": cells}).write(whole)
        ways = [anndata.read_h5ad(h5ad), anndata.read_zarr(zarr)]
        ways.append(spatialdata.read_zarr(whole).tables["cells"])
    if any((way.X != cells.X).nnz or not way.obs.equals(cells.obs) for way in ways):
        raise Wrong("what was written is not what is read")
    return "cells go through .h5ad, .zarr and SpatialData"


def draw_cells() -> Any:
    """Draw 200 cells of two kinds, that differ in a fifth of their genes and lie in two halves."""
    import anndata  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415
    from scipy import sparse  # noqa: PLC0415

    rng = np.random.default_rng(1)
    kind = np.arange(CELLS) % 2
    rates = np.ones((CELLS, GENES))
    rates[kind == 1, : GENES // 5] = 12
    counts = sparse.csr_matrix(rng.poisson(rates).astype(np.float32))
    names = [f"cell-{number}" for number in range(CELLS)]
    obs = pd.DataFrame({"kind": pd.Categorical(np.array(["a", "b"])[kind])}, index=names)
    cells = anndata.AnnData(counts, obs=obs)
    cells.obsm["spatial"] = rng.uniform(0, 100, (CELLS, 2)) + 100 * np.stack([kind, kind], axis=1)
    return cells


if __name__ == "__main__":
    checks = (check_libraries, check_clusters, check_neighbourhoods, check_files)
    sys.exit(run_checks([*OF_A_SESSION, *checks]))
