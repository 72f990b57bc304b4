#!/usr/bin/env bash
# Make the environments of the peers whose needs go with ours not at all: rectools-lightfm and RecBole, below a folder.
#
#     benchmarks/peers/install.sh PEERS      # some minutes and 1.5 GB; needs Python 3.11
#
# RecBole 1.2.1 pins a ray and a colorlog that no longer install, so it comes without what it pins, and what its BPR
# imports beside. Both want numpy < 2, and so pyarrow < 22 and pandas < 3. PIP_EXTRA_INDEX_URL as in README spares CUDA.
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
