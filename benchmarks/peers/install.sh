#!/usr/bin/env bash
# Make the environments of the peers whose needs go with ours not at all, below a folder: rectools-lightfm and RecBole,
# which train, RecTools and Spark, which rank.
#
#     benchmarks/peers/install.sh PEERS      # some minutes and 2.5 GB; needs Python 3.11, and Java where Spark is run
#
# RecBole 1.2.1 pins a ray and a colorlog that no longer install, so it comes without what it pins, and what its BPR
# imports beside. All but Spark want numpy < 2, and so pyarrow < 22 and pandas < 3. PIP_EXTRA_INDEX_URL as in README spares CUDA.
set -euo pipefail
peers=${1:?name a folder for the environments}
python=${PYTHON:-python3.11}
common=("numpy<2" "pandas<3" "pyarrow<22" "scipy<1.16" "setuptools<81" wheel)

"$python" -m venv "$peers/lightfm"
"$peers/lightfm/bin/pip" install --quiet "${common[@]}" rectools-lightfm==1.17.3
touch "$peers/lightfm/ready"

"$python" -m venv "$peers/recbole"
"$peers/recbole/bin/pip" install --quiet "${common[@]}" torch==2.13.0
"$peers/recbole/bin/pip" install --quiet --no-deps recbole==1.2.1
"$peers/recbole/bin/pip" install --quiet colorama colorlog pyyaml tqdm scikit-learn tabulate texttable thop tensorboard psutil requests
touch "$peers/recbole/ready"

"$python" -m venv "$peers/rectools"
"$peers/rectools/bin/pip" install --quiet "${common[@]}" rectools==0.19.0
touch "$peers/rectools/ready"

"$python" -m venv "$peers/spark"
"$peers/spark/bin/pip" install --quiet numpy scipy pandas pyarrow pyspark==4.3.0
touch "$peers/spark/ready"
