"""Verifies image `r` from inside: R beside Python, its kernel, figures and packages.

Place in the path: run by `images/_tool/build.py` in the built image. Nobody imports it.
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
from pathlib import Path

from images._inside.checks import Wrong, run, run_checks
from images._inside.session_checks import OF_A_SESSION

OLDEST = (4, 2)
LEAST_PURITY, LEAST_MARKERS = 0.95, 19
PNG = b"\x89PNG\r\n"
#: A package of somebody's own, by its files.
OWN = {
    "DESCRIPTION": "Package: own\nVersion: 1.0\nTitle: Own\nDescription: Own.\nLicense: GPL-2\n"
    "Author: A\nMaintainer: A <a@b.c>\n",
    "NAMESPACE": "export(seven)\n",
    "R/seven.R": "seven <- function() 7\n",
}
#: What a notebook of R does in a job: a value that papermill gives it, a package, and a figure.
CELLS = (
    ("parameters", "cells <- 1"),
    ("", "install.packages('~/own', repos = NULL, type = 'source', quiet = TRUE)"),
    ("", "cat(cells, own::seven(), find.package('own'))"),
    ("", "library(ggplot2)\nggplot(data.frame(x = 1:9, y = 1), aes(x, y)) + geom_point()"),
)
TIDY = """
suppressPackageStartupMessages(library(tidyverse))
found <- tibble(kind = rep(c("a", "b"), 50), value = 1:100) |>
    group_by(kind) |> summarise(total = sum(value)) |> pivot_wider(names_from = kind,
    values_from = total)
cat(found$a, found$b, nchar(str_to_upper("ab")), lubridate::month("2024-02-29"), "\\n")
"""
#: Two kinds of cells, of which each has ten genes of its own.
SEURAT = """
suppressPackageStartupMessages(library(Seurat))
set.seed(1)
kind <- rep(1:2, each = 50)
counts <- matrix(rpois(200 * 100, 1), 200, dimnames = list(paste0("g", 1:200), paste0("c", 1:100)))
for (each in 1:2) {
    genes <- (each - 1) * 10 + 1:10
    counts[genes, kind == each] <- counts[genes, kind == each] + rpois(500, 9)
}
cells <- CreateSeuratObject(as(counts, "CsparseMatrix"))
cells <- NormalizeData(cells, verbose = FALSE)
cells <- FindVariableFeatures(cells, nfeatures = 100, verbose = FALSE)
cells <- ScaleData(cells, verbose = FALSE)
cells <- RunPCA(cells, npcs = 5, verbose = FALSE)
cells <- FindNeighbors(cells, dims = 1:5, verbose = FALSE)
cells <- FindClusters(cells, resolution = 0.2, verbose = FALSE)
purity <- sum(apply(table(Idents(cells), kind), 1, max)) / 100
markers <- FindMarkers(cells, 1, verbose = FALSE)
cat(purity, sum(rownames(markers)[1:20] %in% paste0("g", 1:20)), "\\n")
"""
WRITABLE = "folders <- c(.Library, .Library.site); cat(folders[file.access(folders, 2) == 0])"


def run_r(code: str) -> str:
    """Run code in R and return what it printed."""
    return run("Rscript", "--vanilla", "-e", code).strip()


def find_r_package(name: str) -> str:
    """Find the version of a package of R."""
    return run_r(f"cat(format(packageVersion('{name}')))")


def check_version() -> str:
    """R is of the version that its packages are built for."""
    version = run_r("cat(R.version$major, R.version$minor, sep = '.')")
    if tuple(map(int, version.split(".")[:2])) < OLDEST:
        raise Wrong(f"R is {version}")
    return f"R {version}"


def check_kernel_of_r() -> str:
    """Papermill runs a notebook of R: a value given, a library of one's own, a figure."""
    cells: list[dict[str, object]] = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "source": source,
            "metadata": {"tags": [tag] if tag else []},
            "outputs": [],
            "execution_count": None,
        }
        for number, (tag, source) in enumerate(CELLS)
    ]
    spec = {"name": "ir", "display_name": "R", "language": "R"}
    notebook = {
        "cells": cells,
        "metadata": {"kernelspec": spec},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    with tempfile.TemporaryDirectory() as home:
        source, target = Path(home) / "in.ipynb", Path(home) / "out.ipynb"
        source.write_text(json.dumps(notebook), encoding="utf-8")
        for name, text in OWN.items():
            file = Path(home, "own", name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        given = ("--engine", "offline-jobs", "-p", "cells", "100")
        run("papermill", str(source), str(target), *given, environ={"HOME": home})
        *_, printed, figure = json.loads(target.read_text(encoding="utf-8"))["cells"]
        # Another R finds it again, in a terminal too.
        again = run(
            "Rscript", "-e", "cat(own::seven(), find.package('own'))", environ={"HOME": home}
        )
    said = "".join(printed["outputs"][0]["text"]).split()
    if said[:2] != ["100", "7"] or not said[2].startswith(f"{home}/R/"):
        raise Wrong(f"the notebook of R printed {said}")
    if again.split() != said[1:]:
        raise Wrong(f"what install.packages() brought is not found again: {again}")
    picture = figure["outputs"][0]["data"].get("image/png", "")
    if not base64.b64decode(picture).startswith(PNG):
        raise Wrong(f"the figure has no PNG: {sorted(figure['outputs'][0]['data'])}")
    return "a kernel of R runs a notebook, installs a package in the home and draws a figure"


def check_tidyverse() -> str:
    """The tidyverse works on 100 rows."""
    said = run_r(TIDY)
    if said != "2500 2550 2 2":
        raise Wrong(f"the tidyverse computed {said}")
    return f"tidyverse {find_r_package('tidyverse')} computes"


def check_seurat() -> str:
    """Seurat finds two kinds of 100 cells again, and what marks them."""
    purity, markers = map(float, run_r(SEURAT).splitlines()[-1].split())
    if purity < LEAST_PURITY or markers < LEAST_MARKERS:
        raise Wrong(f"Seurat found {purity} of the cells' kinds and {markers} of 20 markers")
    return f"Seurat {find_r_package('Seurat')} finds {purity:.0%} of the kinds of 100 cells"


def check_library() -> str:
    """The system's library of R cannot be written."""
    if said := run_r(WRITABLE):
        raise Wrong(f"users can write {said}")
    return "the system's library of R cannot be written"


def check_linear_algebra() -> str:
    """Linear algebra of R takes as many threads as the pod has cores."""
    said = run_r("cat(sessionInfo()$BLAS)")
    if "openblas" not in said:
        raise Wrong(f"R computes with {said}")
    return "R computes with OpenBLAS"


if __name__ == "__main__":
    sys.exit(
        run_checks(
            [
                *OF_A_SESSION,
                check_version,
                check_kernel_of_r,
                check_tidyverse,
                check_seurat,
                check_library,
                check_linear_algebra,
            ]
        )
    )
